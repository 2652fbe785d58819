"""The console that every line of the command line goes through, and the one for what a command came to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.status import Status

from seal_env.journal import finite
from seal_env.printable import printable


class Terminal(Console):
    """A console whose texts are shown as they are: no markup is read in them, and control characters become visible.

    Task ids, answers and messages come from files, models and servers. Only rich itself writes control codes.

    Args:
        results: Where results are shown: of a command standard output, while everything else (plans, progress, notes) goes
            to this console, which is standard error. None is this console.
        settings: Of rich's Console.

    Attributes:
        as_json: Whether results are JSON documents, beside which nothing is printed on `results`.
    """

    def __init__(self, results: Terminal | None = None, **settings: Any) -> None:
        if not columns(os.environ):  # rich would print lines of no characters
            settings.setdefault("_environ", {name: value for name, value in os.environ.items() if name != "COLUMNS"})
        super().__init__(**{"highlight": False, "markup": False, **settings})
        self.results: Terminal = results or self
        self.as_json = False

    def print_json_only(self) -> None:
        """From now on, results are JSON documents."""
        self.as_json = self.results.quiet = True

    def insist(self, text: str, style: str | None = None) -> None:
        """Print a line also if this console is quiet."""
        console = Terminal(file=self.file, width=self.width) if self.quiet else self
        console.print(text, style=style, soft_wrap=True)

    def show(self, document: Any, *shown: RenderableType) -> None:
        """Show a result.

        Args:
            document: What is printed as JSON; numbers that are not finite are null in it. Shares are fractions.
            shown: What is printed otherwise, one below the other. Texts are not wrapped.
        """
        for each in shown:
            self.results.print(each, soft_wrap=isinstance(each, str))
        if self.as_json:
            self._write_json(document)

    def show_text(self, document: Any, text: str) -> None:
        """Show a result whose text is printed exactly as it is; see `show`."""
        if self.as_json:
            self._write_json(document)
        else:
            self._write(text)

    def _write_json(self, document: Any) -> None:
        self._write(json.dumps(finite(document), indent=1, default=str) + "\n")

    def _write(self, text: str) -> None:
        self.results.file.write(text)
        self.results.file.flush()

    def status(self, status: RenderableType, **settings: Any) -> Status:
        """See rich's Console, whose spinners read markup everywhere."""
        return super().status(escape(status) if isinstance(status, str) else status, **settings)

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that rich has caught, which the command line answers; rich would end the process."""
        raise

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See rich's Console."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def columns(environment: Mapping[str, str]) -> int:
    """The width that COLUMNS says; 0 if it says none."""
    said = environment.get("COLUMNS", "")
    return int(said) if said.isdecimal() else 0


def show_result(console: Console, document: Any, *shown: RenderableType) -> None:
    """Show a result, see `Terminal.show`; any other console prints it."""
    if isinstance(console, Terminal):
        console.show(document, *shown)
        return
    for each in shown:
        console.print(each, soft_wrap=isinstance(each, str), markup=False)


def results_of(console: Console) -> Console:
    """Where results are shown, for what is as wide as that allows."""
    return console.results if isinstance(console, Terminal) else console
