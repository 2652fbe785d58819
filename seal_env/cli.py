"""The command line: `seal-env run | tasks | tools | doctor`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import seal_env
from seal_env.agents.registry import AGENTS
from seal_env.errors import SealError, SettingError
from seal_env.registration import ENVIRONMENTS
from seal_env.render import Panel, panels_text
from seal_env.settings import Settings
from seal_env.tasks.arc.loader import TASKSETS, load_taskset
from seal_env.tasks.arc.validate import validate
from seal_env.tools.registry import ARC_TOOLS, get_tools, json_schemas, openai_tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `seal-env`. 0: fine; 1: tasks or the self-check failed; 2: bad input; 130: interrupted."""
    parsed = build_parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        return int(parsed.command(parsed, console))
    except SealError as error:
        Console(stderr=True, highlight=False).print(f"seal-env: {escape(str(error))}", style="red", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `seal-env tasks list | head`
        sys.stderr.close()
        return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options; those of `run` that set up the environment come from Settings itself."""
    parser = argparse.ArgumentParser(
        prog="seal-env", description="Self-adapting language models as a Gymnasium environment."
    )
    parser.add_argument("--version", action="version", version=f"seal-env {seal_env.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run an agent on tasks and record the episodes"))
    tasks = commands.add_parser("tasks", help="list, show or validate tasks").add_subparsers(required=True, metavar="ACTION")
    listing = tasks.add_parser("list", help="the task sets, or the tasks of one")
    listing.add_argument("--subset", help="task set, comma-separated ids, or a path")
    listing.set_defaults(command=list_tasks)
    show = tasks.add_parser("show", help="draw a task's grids")
    show.add_argument("task_id", metavar="TASK_ID")
    show.add_argument("--subset", help="where to look for it (default: ARC-AGI-1, ARC-AGI-2, mini)")
    show.set_defaults(command=show_task)
    check = tasks.add_parser("validate", help="prove every task, without a model")
    check.add_argument(
        "--subset", default="seal-train,seal-eval", help="task set or path (default: seal-train and seal-eval)"
    )
    check.set_defaults(command=validate_tasks)
    tools = commands.add_parser("tools", help="the tools' schemas")
    tools.add_argument("--format", choices=("text", "openai", "json-schema"), default="text")
    tools.set_defaults(command=show_tools)
    doctor = commands.add_parser("doctor", help="versions, device, model, disk, and a short self-check")
    doctor.add_argument("--model", default=Settings.model)
    doctor.add_argument("--device", default=Settings.device)
    doctor.set_defaults(command=run_doctor)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", default="SEAL-ARC-v0", choices=tuple(ENVIRONMENTS), help="environment id")
    agents = "; ".join(f"{name}: {entry.summary}" for name, entry in AGENTS.items())
    parser.add_argument("--agent", default="random", choices=tuple(AGENTS), help=agents)
    parser.add_argument("--self-edit", help="JSON text, or a file with it, for the agent `fixed`")
    parser.add_argument("--episodes", type=int, help="how many (default: each task of the subset once)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="run folder, which must not exist (default: runs/DATE-TIME-AGENT)")
    group = parser.add_argument_group("environment")
    explained = dict(re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w|\Z)", Settings.__doc__ or "", re.DOTALL | re.MULTILINE))
    hints = get_type_hints(Settings)
    for field in fields(Settings):
        kinds = [kind for kind in get_args(hints[field.name]) or (hints[field.name],) if kind is not NoneType]
        explanation = " ".join(explained.get(field.name, "").split()).replace("%", "%%")
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kinds[0],
            default=argparse.SUPPRESS,
            help=f"{explanation} (default: {'by id' if field.name == 'subset' else field.default})",
        )
    parser.set_defaults(command=run_agent)


def run_agent(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env run`."""
    from seal_env.runner import RunSettings, run

    if arguments.episodes is not None and arguments.episodes < 1:
        raise SettingError("episodes", arguments.episodes, "at least 1")
    environment = {
        field.name: getattr(arguments, field.name) for field in fields(Settings) if hasattr(arguments, field.name)
    }
    out = arguments.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{arguments.agent}"
    self_edit = _text_or_file(arguments.self_edit)
    settings = RunSettings(arguments.env, arguments.agent, arguments.episodes, arguments.seed, out, self_edit)
    trajectories = run(settings, environment, console)
    return 130 if arguments.episodes is not None and len(trajectories) < arguments.episodes else 0


def _text_or_file(value: str | None) -> str | None:
    if value is None or value.lstrip().startswith(("{", "[")):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("self_edit", value, f"a JSON text or a readable file ({error})") from error


def list_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks list`."""
    if arguments.subset is None:
        table = Table("task set", "what it holds")
        for name, entry in TASKSETS.items():
            table.add_row(name, entry.description)
        console.print(table)
        return 0
    table = Table("task", "demonstrations", "test inputs", "largest grid")
    for task in load_taskset(arguments.subset):
        grids = [grid for pair in (*task.context, *task.queries) for grid in pair]
        largest = max(grids, key=lambda grid: len(grid) * len(grid[0]))
        table.add_row(task.task_id, str(len(task.context)), str(len(task.queries)), f"{len(largest)}x{len(largest[0])}")
    console.print(table)
    return 0


def show_task(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks show TASK_ID`: every grid, the gold outputs too."""
    source = arguments.subset or ("mini" if arguments.task_id.startswith("mini-") else arguments.task_id)
    task = load_taskset(source)[arguments.task_id]
    rows: list[list[Panel]] = []
    for name, gold, pairs in (("input", "output", task.context), ("test input", "gold", task.queries)):
        rows += [_panels((f"{task.task_id} {name}", pair.input), (gold, pair.output)) for pair in pairs]
    console.print(panels_text(rows))
    return 0


def _panels(*panels: Panel) -> list[Panel]:
    return list(panels)


def validate_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks validate`: 1 if any task has a problem."""
    names = arguments.subset.split(",") if set(arguments.subset.split(",")) <= set(TASKSETS) else [arguments.subset]
    count = failed = 0
    for name in names:
        for task in load_taskset(name):
            problems = validate(task)
            count, failed = count + 1, failed + bool(problems)
            for problem in problems:
                console.print(f"{task.task_id}: {problem}", style="red", markup=False, soft_wrap=True)
    console.print(f"{count} tasks, {failed} with problems")
    return 1 if failed else 0


def show_tools(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tools`."""
    if arguments.format == "text":
        for tool in get_tools(ARC_TOOLS):
            console.print(f"[bold]{tool.name}[/bold]  {tool.description}", soft_wrap=True)
            for name, schema in json_schemas(ARC_TOOLS)[tool.name]["properties"].items():
                console.print(f"    {name}: {json.dumps(schema)}", markup=False, soft_wrap=True)
        return 0
    document: Any = openai_tools(ARC_TOOLS) if arguments.format == "openai" else json_schemas(ARC_TOOLS)
    print(json.dumps(document, indent=2))
    return 0


def run_doctor(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env doctor`: 1 if something is wrong."""
    from seal_env.doctor import diagnose

    return 0 if diagnose(arguments.model, arguments.device, console) else 1
