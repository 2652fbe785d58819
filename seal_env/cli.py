"""The command line: `seal-env run | tasks | tools | card | doctor`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

import seal_env
from seal_env.agents.registry import AGENTS
from seal_env.embedded_model import CARD, MODEL_NAME
from seal_env.errors import SealError, SettingError, UnknownTaskError
from seal_env.registration import ENVIRONMENTS
from seal_env.report.tasks import task_pictures, taskset_table, tasksets_table
from seal_env.settings import CHOICES, Settings
from seal_env.tasks.arc.loader import TASKSETS, load_taskset
from seal_env.tasks.arc.validate import validate
from seal_env.tools.registry import ARC_TOOLS, get_tools, json_schemas, openai_tools
from seal_env.tools.schema import legal_values

WIDTH_OF_FILES = 160
"""Columns of what is not written to a terminal."""
HELP_WIDTH = 100
METAVARS = {int: "N", float: "X", str: "TEXT"}
UPDATE_SETTINGS = (
    "inner_loop",
    "profile",
    "max_steps",
    "max_examples",
    "max_tokens",
    "batch_size",
    "lora_rank",
    "lora_alpha",
    "lora_targets",
    "save_adapters",
    "cache",
    "cache_file",
)
EXAMPLES = """examples:
  random self-edits on the 12 tasks of seal-train:
    seal-env run
  the usual self-edit on one task:
    seal-env run --subset 5582e5ca --agent fixed
  in-context learning on 20 generated tasks, without any update:
    seal-env run --subset mini-eval:20 --agent none
  your self-edit on another model:
    seal-env run --agent fixed --self-edit my-edit.json --model path/to/model"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `seal-env`. 0: fine; 1: tasks, the machine or the self-check failed; 2: bad input; 130: interrupted."""
    on_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if on_terminal else WIDTH_OF_FILES)
    try:
        parsed = build_parser().parse_args(arguments)
        code = int(parsed.command(parsed, console))
        sys.stdout.flush()  # here, where a closed pipe is caught
    except SealError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:  # `seal-env tools --format openai | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _complain(message: str) -> None:
    one_line = " ".join(message.split())
    Console(stderr=True, highlight=False).print(f"seal-env: {one_line}", style="red", soft_wrap=True, markup=False)


class Parser(argparse.ArgumentParser):
    """Options are never abbreviated, and a wrong one is told in one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Exit with 2 and one line."""
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            known = [name for action in _all_actions(self) for name in action.option_strings]
            close = get_close_matches(unknown[1], known, n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        _complain(f"{message.removeprefix('argument ')} (see {self.prog} --help)")
        sys.exit(2)


class HelpFormatter(argparse.HelpFormatter):
    """Text as wide as the terminal up to a readable width, a narrow column of options, and examples left as they are."""

    def __init__(self, prog: str) -> None:
        width = min(Console().width, HELP_WIDTH) - 2
        super().__init__(prog, max_help_position=26, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def _all_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found = []
    for action in parser._actions:  # noqa: SLF001 (argparse has no public list)
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found += [inner for sub in action.choices.values() for inner in _all_actions(sub)]
    return found


def build_parser() -> Parser:
    """All commands and their options; those of `run` that set up the environment come from Settings itself."""
    parser = Parser(prog="seal-env", description="Self-adapting language models (SEAL) as a Gymnasium environment.")
    parser.add_argument("--version", action="version", version=f"seal-env {seal_env.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command name")
    _add_run(commands)
    _add_tasks(commands)
    about = "The tools that a self-edit calls, and their arguments."
    tools = commands.add_parser("tools", help="the tools' schemas", description=about)
    tools.add_argument("--format", choices=("text", "openai", "json-schema"), default="text", help="default: text")
    tools.set_defaults(command=show_tools)
    about = f"The card of the embedded model, {MODEL_NAME}: what it was trained on and what it can do. In a pipe: Markdown."
    card = commands.add_parser("card", help="the embedded model's card", description=about)
    card.set_defaults(command=show_card)
    about = "Check this installation: packages, disk, device, model, and one real update, done twice."
    doctor = commands.add_parser("doctor", help="check this installation with one real update", description=about)
    doctor.add_argument("--model", default=Settings.model, help="default: %(default)s")
    doctor.add_argument("--device", default=Settings.device, help="default: %(default)s")
    doctor.set_defaults(command=run_doctor)
    return parser


def _add_tasks(commands: Any) -> None:
    about = "List, show or validate tasks."
    parser = commands.add_parser("tasks", help="list, show or validate tasks", description=about)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", dest="action name")
    where = "a task set (NAME or NAME:COUNT), comma-separated ids, or a path"
    listing = actions.add_parser("list", help="the task sets, or the tasks of one", description="List task sets or tasks.")
    listing.add_argument("--subset", help=where)
    listing.set_defaults(command=list_tasks)
    show = actions.add_parser("show", help="draw a task's grids", description="Draw a task's grids, the answers too.")
    show.add_argument("task_id", metavar="TASK_ID", help="an id of ARC-AGI-1, ARC-AGI-2 or mini, or of --subset")
    show.add_argument("--subset", help=f"{where}; where to look for the task")
    show.set_defaults(command=show_task)
    about = "Prove tasks without a model: right answers score 1, wrong ones 0, and no answer leaks."
    check = actions.add_parser("validate", help="prove every task, without a model", description=about)
    every = ",".join(name for name in TASKSETS if name != "mini")
    check.add_argument("--subset", default=every, help=f"{where}; or several sets (default: all, which takes minutes)")
    check.set_defaults(command=validate_tasks)


def _add_run(commands: Any) -> None:
    about = "Run an agent on tasks, one self-edit and one real weight update an episode, and record the episodes."
    parser = commands.add_parser(
        "run",
        help="run an agent on tasks and record the episodes",
        usage="seal-env run [options]",
        description=about,
        epilog=EXAMPLES,
    )
    parser.add_argument("--env", default="SEAL-ARC-v0", choices=tuple(ENVIRONMENTS), help="default: %(default)s")
    agents = "; ".join(f"{name}: {entry.summary}" for name, entry in AGENTS.items())
    parser.add_argument("--agent", default="random", choices=tuple(AGENTS), help=f"{agents} (default: random)")
    parser.add_argument("--self-edit", metavar="JSON", help="for the agent `fixed`: the JSON text, or a file with it")
    parser.add_argument("--episodes", type=int, metavar="N", help="how many (default: each task of the subset once)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything random (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder, a new one (default: runs/DATE-TIME-AGENT)")
    environment = parser.add_argument_group("environment")
    update = parser.add_argument_group("weight update")
    explained = dict(re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w|\Z)", Settings.__doc__ or "", re.DOTALL | re.MULTILINE))
    hints = get_type_hints(Settings)
    for field in fields(Settings):
        kind = next(kind for kind in get_args(hints[field.name]) or (hints[field.name],) if kind is not NoneType)
        text = " ".join(explained.get(field.name, "").split()).partition(". ")[0].removesuffix(".").replace("%", "%%")
        text = re.sub(r"; None (?:is|keeps) (.*)", r" (default: \1)", text)
        default = "by --env" if field.name == "subset" else field.default
        (update if field.name in UPDATE_SETTINGS else environment).add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            default=argparse.SUPPRESS,
            metavar="|".join(CHOICES.get(field.name, (METAVARS[kind],))),
            help=text if default is None else f"{text} (default: {default})",
        )
    parser.set_defaults(command=run_agent)


def run_agent(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env run`: 1 if the machine failed in every episode."""
    self_edit = _text_or_file(arguments.self_edit)
    from seal_env.runner import RunSettings, run  # here: other commands need none of it

    given = {field.name: getattr(arguments, field.name) for field in fields(Settings) if hasattr(arguments, field.name)}
    settings = RunSettings(
        environment=arguments.env,
        agent=arguments.agent,
        episodes=arguments.episodes,
        seed=arguments.seed,
        out=arguments.out or _new_folder(Path("runs"), f"{datetime.now():%Y%m%d-%H%M%S}-{arguments.agent}"),
        self_edit=self_edit,
    )
    trajectories = run(settings, given, console)
    return int(all(trajectory.truncated for trajectory in trajectories))


def _new_folder(parent: Path, name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is not there: runs may begin in the same second."""
    number = 1
    while os.path.lexists(path := parent / (name if number == 1 else f"{name}-{number}")):
        number += 1
    return path


def _text_or_file(value: str | None) -> str | None:
    if value is None or value.lstrip().startswith(("{", "[")):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError("self_edit", value, f"a JSON text or a readable file ({reason})") from error


def list_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks list`."""
    console.print(tasksets_table() if arguments.subset is None else taskset_table(load_taskset(arguments.subset)))
    return 0


def show_task(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks show TASK_ID`: every grid, the gold outputs too."""
    task_id = arguments.task_id
    if arguments.subset is None and (task_id in TASKSETS or not re.fullmatch(r"[0-9a-f]{8}|mini-\w+-\d+-\d+", task_id)):
        legal = "an id such as 5582e5ca or mini-train-0-7 (`seal-env tasks list --subset NAME` lists them), or --subset"
        raise UnknownTaskError(f"TASK_ID={task_id!r} is no task id; expected {legal}")
    console.print(task_pictures(load_taskset(arguments.subset or task_id)[task_id], console))
    return 0


def validate_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks validate`: 1 if any task has a problem."""
    parts = [part.strip() for part in arguments.subset.split(",")]
    names = parts if {part.partition(":")[0] for part in parts} <= set(TASKSETS) else [arguments.subset]
    count = failed = 0
    for name in names:
        taskset = load_taskset(name)
        with console.status(f"validating {name}: {len(taskset)} tasks"):
            found = {task.task_id: validate(task) for task in taskset}
        for task_id, problems in found.items():
            for problem in problems:
                console.print(f"{task_id}: {problem}", style="red", markup=False, soft_wrap=True)
        count, failed = count + len(found), failed + sum(map(bool, found.values()))
    console.print(f"{count} task{'' if count == 1 else 's'}, {failed or 'none'} with problems")
    return 1 if failed else 0


def show_tools(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tools`."""
    if arguments.format == "text":
        schemas = json_schemas(ARC_TOOLS)
        for tool in get_tools(ARC_TOOLS):
            console.print(Text.assemble((tool.name, "bold"), f"\n{tool.description}"))
            for name, schema in schemas[tool.name]["properties"].items():
                console.print(
                    Padding(Text.assemble((name, "bold"), f": {legal_values(schema)}"), (0, 0, 0, 4), expand=False)
                )
                console.print(Padding(Text(schema["description"]), (0, 0, 0, 8), expand=False))
            console.print()
        return 0
    document: Any = openai_tools(ARC_TOOLS) if arguments.format == "openai" else json_schemas(ARC_TOOLS)
    print(json.dumps(document, indent=2))
    return 0


def show_card(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env card`: rendered on a terminal; anywhere else the file's own bytes."""
    if sys.stdout.isatty():
        from rich.markdown import Markdown  # here: other commands need none of it

        console.print(Markdown(CARD.read_text(encoding="utf-8")), width=min(console.width, HELP_WIDTH))
    else:
        sys.stdout.buffer.write(CARD.read_bytes())
    return 0


def run_doctor(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env doctor`: 1 if something is wrong."""
    from seal_env.doctor import diagnose

    return 0 if diagnose(arguments.model, arguments.device, console) else 1
