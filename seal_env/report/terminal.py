"""The console that every line of the command line goes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.status import Status

from seal_env.printable import printable


class Terminal(Console):
    """A console whose texts are shown as they are: no markup is read in them, and control characters become visible.

    Task ids, answers and messages come from files, models and servers. Only rich itself writes control codes.

    Args:
        settings: Of rich's Console.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, **settings})

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
