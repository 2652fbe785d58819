"""`seal-env`: its commands, and what an error or an interrupt does to the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
from rich.console import Console

import seal_env
from seal_env.cli.doctor import doctor
from seal_env.cli.options import HELP_WIDTH
from seal_env.cli.reproduce import reproduce
from seal_env.cli.run import evaluate, run
from seal_env.cli.show import card, tools
from seal_env.cli.tasks import tasks
from seal_env.cli.train import train
from seal_env.errors import SealError

FILE_WIDTH = 160
"""Columns of output that does not go to a terminal."""


@click.group(context_settings={"max_content_width": HELP_WIDTH}, no_args_is_help=False)
@click.version_option(seal_env.__version__, prog_name="seal-env", message="%(prog)s %(version)s")
def commands() -> None:
    """Self-adapting language models (SEAL) as a Gymnasium environment."""


for command in (run, evaluate, train, reproduce, tasks, tools, card, doctor):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `seal-env`.

    Args:
        arguments: Of the command line, without the program's name; None is those of the process.

    Returns:
        The exit code. 0: success, or a closed pipe; 1: every episode failed, tasks have problems or the self-check failed;
        2: bad input; 130: interrupted.
    """
    on_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if on_terminal else FILE_WIDTH)
    chosen = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _invoke(chosen, console)
        sys.stdout.flush()  # here, where a closed pipe is caught
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "seal-env"
        complain(f"{error.format_message()} (see {path} --help)")
        return 2
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


def _invoke(arguments: list[str], console: Console) -> int:
    try:
        with commands.make_context("seal-env", arguments, obj=console) as context:
            return int(commands.invoke(context) or 0)
    except click.exceptions.Exit as done:  # --help and --version
        return done.exit_code


def complain(message: str) -> None:
    """Print one line on standard error."""
    one_line = " ".join(message.split())
    Console(stderr=True, highlight=False).print(f"seal-env: {one_line}", style="red", soft_wrap=True, markup=False)
