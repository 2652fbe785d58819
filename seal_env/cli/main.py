"""`seal-env`: its commands, and what an error or an interrupt does to the exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO

import click
from click.shell_completion import shell_complete

import seal_env
from seal_env.cli.doctor import doctor
from seal_env.cli.experiment import ARGUMENTS
from seal_env.cli.options import HELP_WIDTH
from seal_env.cli.output import logging_to, with_output
from seal_env.cli.play import play
from seal_env.cli.reproduce import reproduce
from seal_env.cli.rescore import rescore
from seal_env.cli.results import compare, export, report_runs, show_run
from seal_env.cli.run import evaluate, run
from seal_env.cli.serve import serve
from seal_env.cli.show import card, envs, tools
from seal_env.cli.tasks import tasks
from seal_env.cli.train import train
from seal_env.errors import SealError
from seal_env.journal import storage_errors, storage_problem
from seal_env.redaction import redacted, redacted_message
from seal_env.report.terminal import Terminal, columns

FILE_WIDTH: Final = 160
"""Columns of output that does not go to a terminal."""
COMPLETE: Final = "_SEAL_ENV_COMPLETE"
"""The variable by which a shell asks for completions."""

EPILOG: Final = """\b
tab completion in bash (zsh and fish, and how to keep it: docs/commands.md):
  source <(_SEAL_ENV_COMPLETE=bash_source seal-env)"""


@click.group(context_settings={"max_content_width": HELP_WIDTH}, no_args_is_help=True, epilog=EPILOG)
@click.version_option(seal_env.__version__, prog_name="seal-env", message="%(prog)s %(version)s")
def commands() -> None:
    """Self-adapting language models (SEAL) as a Gymnasium environment."""


for command in (
    run,
    evaluate,
    train,
    reproduce,
    play,
    show_run,
    compare,
    export,
    report_runs,
    rescore,
    serve,
    envs,
    tasks,
    tools,
    card,
    doctor,
):
    commands.add_command(with_output(command))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `seal-env`.

    Args:
        arguments: Of the command line, without the program's name; None is those of the process.

    Returns:
        The exit code. 0: success, or a closed pipe; 1: every episode failed, tasks have problems or the self-check failed;
        2: bad input, or a disk or a server that fails; 130: interrupted; 143: terminated. The message says how to resume.
    """
    if instruction := os.environ.get(COMPLETE):
        return _completed(instruction)
    console = _terminal(sys.stderr, "standard error", results=_terminal(sys.stdout, "standard output"))
    chosen = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable(), logging_to(console):
            code = _invoke(chosen, console)
            sys.stdout.flush()  # here, where a closed pipe is caught
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "seal-env"
        complain(f"{error.format_message()} (see {path} --help)")
        return 2
    except (SealError, OSError, KeyboardInterrupt) as error:
        return _stopped(error)
    return code


def _terminal(stream: TextIO, name: str, **settings: Any) -> Terminal:
    checked: Any = _Checked(stream, Path(name))
    on_terminal = stream.isatty() or bool(columns(os.environ))
    return Terminal(file=checked, width=None if on_terminal else FILE_WIDTH, **settings)


def _completed(instruction: str) -> int:
    """What a shell asks for by a variable: its script, or completions. The exit code."""
    try:
        return shell_complete(commands, {}, "seal-env", COMPLETE, instruction)
    except OSError as error:
        return _stopped(error)
    except (KeyError, ValueError):
        complain(f"{COMPLETE}={instruction} is for shells, which set COMP_WORDS and COMP_CWORD")
        return 2


def _stopped(error: BaseException) -> int:
    """Say what stopped a command, and how it is resumed; the exit code."""
    code = 2
    if isinstance(error, KeyboardInterrupt):
        terminated = isinstance(error, Terminated)
        complain("terminated" if terminated else "interrupted")
        code = 143 if terminated else 130
    elif isinstance(error, SealError):
        complain(str(error))
    elif isinstance(error, BrokenPipeError):  # `seal-env tools --format openai | head -1`
        code = 0
    else:
        problem = storage_problem(error)
        if problem is None:
            raise error
        complain(f"{getattr(error, 'filename', None) or 'standard output'!r}: {problem}")
    for note in getattr(error, "__notes__", ()):
        complain(note)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
    return code


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM), as schedulers do before they kill it."""


@contextmanager
def _terminable() -> Iterator[None]:
    """A context in which SIGTERM is an exception, so that a run ends as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Checked:
    """A standard stream, whose errors name it, without keys and passwords."""

    def __init__(self, stream: TextIO, name: Path) -> None:
        self._stream, self._name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """See TextIO. Raises StorageError."""
        with storage_errors(self._name):
            return self._stream.write(redacted(text))

    def flush(self) -> None:
        """See TextIO. Raises StorageError."""
        with storage_errors(self._name):
            self._stream.flush()


def _invoke(arguments: list[str], console: Terminal) -> int:
    try:
        with commands.make_context("seal-env", list(arguments), obj=console) as context:
            context.meta[ARGUMENTS] = tuple(arguments)
            return int(commands.invoke(context) or 0)
    except click.exceptions.Exit as done:  # --help and --version
        return done.exit_code


def complain(message: str) -> None:
    """Print one line on standard error."""
    one_line = " ".join(redacted_message(message).split())
    with suppress(OSError):  # nobody reads it, or its disk is full
        Terminal(stderr=True).print(f"seal-env: {one_line}", style="red", soft_wrap=True)
