"""The command line: `seal-env run | eval | train | reproduce | tasks | tools | card | doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console

import seal_env
from seal_env.cli.options import Parser, complain
from seal_env.cli.outer import add_eval, add_reproduce, add_train
from seal_env.cli.run import add_run
from seal_env.cli.show import add_card, add_doctor, add_tools
from seal_env.cli.tasks import add_tasks
from seal_env.errors import SealError

WIDTH_OF_FILES = 160
"""Columns of what is not written to a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `seal-env`. 0: fine; 1: tasks, the machine or the self-check failed; 2: bad input; 130: interrupted."""
    on_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if on_terminal else WIDTH_OF_FILES)
    try:
        parsed = build_parser().parse_args(arguments)
        code = int(parsed.command(parsed, console))
        sys.stdout.flush()  # here, where a closed pipe is caught
    except SealError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except BrokenPipeError:  # `seal-env tools --format openai | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def build_parser() -> Parser:
    """All commands and their options."""
    parser = Parser(prog="seal-env", description="Self-adapting language models (SEAL) as a Gymnasium environment.")
    parser.add_argument("--version", action="version", version=f"seal-env {seal_env.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command name")
    for add in (add_run, add_eval, add_train, add_reproduce, add_tasks, add_tools, add_card, add_doctor):
        add(commands)
    return parser
