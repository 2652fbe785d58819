"""What all commands have in common: `--json`, `--quiet` and `--verbose`, and the log lines of libraries.

Results go to standard output; plans, progress, notes and log lines go to standard error. `main` makes the console for both.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from seal_env.cli.options import SettingsCommand
from seal_env.report.terminal import Terminal

LIBRARY: Final = "seal_env"
STYLES: Final = {logging.DEBUG: "dim", logging.INFO: "dim", logging.WARNING: "yellow"}
TERSE: Final = (UserWarning, RuntimeWarning)
"""Categories of warnings whose name says nothing to who reads them."""


class OutputOption(click.Option):
    """A switch that takes effect while the command line is read, and is no argument of the command."""

    group = "Output"

    def __init__(self, *flags: str, text: str) -> None:
        super().__init__(flags, is_flag=True, expose_value=False, is_eager=True, help=text, callback=_switch)


def _switch(context: click.Context, option: click.Parameter, value: bool) -> None:
    console = context.find_object(Terminal)
    if not value or console is None:  # completion has none
        return
    if option.name == "json":
        console.print_json_only()
    elif option.name == "quiet":
        console.quiet = True
        logging.getLogger(LIBRARY).setLevel(logging.ERROR)
    else:
        logging.getLogger(LIBRARY).setLevel(logging.DEBUG)


OPTIONS: Final = (
    OutputOption("--json", text="Print the result as one JSON document, with shares as fractions."),
    OutputOption("-q", "--quiet", text="Print nothing but results, errors and a run folder that --out does not name."),
    OutputOption("-v", "--verbose", text="Print what the library logs, too."),
)


def with_output(command: click.Command) -> click.Command:
    """A command, or the commands of a group, with the options that all have."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            with_output(each)
    else:
        (command.always if isinstance(command, SettingsCommand) else command.params).extend(OPTIONS)
    return command


@contextmanager
def logging_to(console: Terminal) -> Iterator[None]:
    """A context in which log lines and warnings are printed on a console."""
    root, library, written = logging.getLogger(), logging.getLogger(LIBRARY), warnings.formatwarning
    handler, level = _Lines(console), library.level
    root.addHandler(handler)
    logging.captureWarnings(True)
    warnings.formatwarning = _in_short
    try:
        yield
    finally:
        warnings.formatwarning = written
        logging.captureWarnings(False)
        root.removeHandler(handler)
        library.setLevel(level)


class _Lines(logging.Handler):
    """Prints log records as the lines of a console; of a console that is quiet, errors alone."""

    def __init__(self, console: Terminal) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if self._console.quiet and record.levelno < logging.ERROR:
            return
        try:
            where = f"{record.name}: " if record.levelno < logging.WARNING else ""
            text = f"{record.levelname.lower():<9} {where}{self.format(record).rstrip()}"
            self._console.insist(text, STYLES.get(record.levelno, "red"))
        except Exception:
            self.handleError(record)


def _in_short(message: Any, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning without the line of code that it is about."""
    return str(message) if category in TERSE else f"{category.__name__}: {message}"
