"""`seal-env run`."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from seal_env.cli.options import add_agent, add_settings, given_agent_options, given_settings
from seal_env.errors import SettingError
from seal_env.registration import environments
from seal_env.settings import Settings

UPDATE_SETTINGS = (
    "method",
    "default_learning_rate",
    "default_num_epochs",
    "inner_loop",
    "evaluator",
    "evaluator_url",
    "evaluator_model",
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
  passages learned by heart, without a text of the agent's own:
    seal-env run --env SEAL-Knowledge-v0 --agent passage_only
  your self-edit on another model:
    seal-env run --agent fixed --self-edit my-edit.json --model path/to/model"""


def add_environment(parser: argparse.ArgumentParser) -> None:
    """The options that set up the environment, from Settings itself."""
    environment = parser.add_argument_group("environment")
    update = parser.add_argument_group("weight update")
    add_settings(environment, Settings, None, {"subset": "by --env"}, dict.fromkeys(UPDATE_SETTINGS, update))


def add_run(commands: Any) -> None:
    """The command's parser."""
    about = "Run an agent on tasks, one self-edit and one real weight update an episode, and record the episodes."
    parser = commands.add_parser(
        "run",
        help="run an agent on tasks and record the episodes",
        usage="seal-env run [options]",
        description=about,
        epilog=EXAMPLES,
    )
    parser.add_argument("--env", default="SEAL-ARC-v0", choices=tuple(environments()), help="default: %(default)s")
    add_agent(parser)
    parser.add_argument("--episodes", type=int, metavar="N", help="how many (default: each task of the subset once)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything random (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder, a new one (default: runs/DATE-TIME-AGENT)")
    add_environment(parser)
    parser.set_defaults(command=run_agent)


def run_agent(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env run`: 1 if the machine failed in every episode."""
    options = agent_options_of(arguments)
    from seal_env.experiments.run import RunSettings, run  # here: other commands need none of it

    given = given_settings(arguments, Settings)
    settings = RunSettings(
        environment=arguments.env,
        agent=arguments.agent,
        episodes=arguments.episodes,
        seed=arguments.seed,
        out=arguments.out or new_folder(Path("runs"), f"{datetime.now():%Y%m%d-%H%M%S}-{arguments.agent}"),
        options=options,
    )
    trajectories = run(settings, given, console)
    return int(all(trajectory.truncated for trajectory in trajectories))


def agent_options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of agents that were given; a self-edit in a file is read. Raises SettingError."""
    given = given_agent_options(arguments)
    return given | {"self_edit": text_or_file(given["self_edit"])} if "self_edit" in given else given


def new_folder(parent: Path, name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is not there: runs may begin in the same second."""
    number = 1
    while os.path.lexists(path := parent / (name if number == 1 else f"{name}-{number}")):
        number += 1
    return path


def text_or_file(value: str | None) -> str | None:
    """A JSON text as it is; anything else is a file with one. Raises SettingError if that cannot be read."""
    if value is None or value.lstrip().startswith(("{", "[")):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError("self_edit", value, f"a JSON text or a readable file ({reason})") from error
