"""Live progress of a run: bars with the remaining time in a terminal, a line a minute elsewhere."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from seal_env.errors import SealError
from seal_env.report.formats import duration
from seal_env.report.work import Work

EVERY: Final = 60.0
"""Seconds between two lines in a log."""
WHOLE: Final = "whole run"
LONGEST: Final = 26
"""Characters of a label beside a bar, so that a row fits 80 columns."""


class Progress:
    """Progress of a run, which is done in stages. Use as a context manager around the run.

    Args:
        console: Where to print. If it is a terminal, bars; otherwise a line now and then.
        work: Units of the whole run; counted here.
        noun: What the units are called.
        every: Seconds between two lines where there is no terminal.
    """

    def __init__(self, console: Console, work: Work, noun: str, every: float = EVERY) -> None:
        self._console, self._work, self._noun, self._every = console, work, noun, every
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(12), TextColumn("{task.fields[count]}"))
        left = _Left(work)
        self._bars = RichProgress(
            *columns, TimeElapsedColumn(), left, console=console, transient=True, disable=not console.is_terminal
        )
        self._whole = self._bars.add_task(WHOLE, total=None, count="", left=True)
        self._stage: TaskID | None = None
        self._kind, self._label, self._done = "", "", 0
        self._total: int | None = None
        self._stop = Event()
        self._lines = Thread(target=self._write_lines, daemon=True)
        self._show()

    @property
    def begun(self) -> bool:
        """Whether a stage has begun."""
        return bool(self._label)

    def begin(self, kind: str, label: str, total: int | None, done: int = 0) -> None:
        """Begin a stage.

        Args:
            kind: Of its units, as in `Work.units`.
            label: What the stage is called.
            total: Its number of units; None if it is one unit.
            done: How many of them were done before this process.
        """
        self._work.skip(kind, done)
        self._kind, self._label, self._total, self._done = kind, label, total, done
        self._end_stage()
        count = "" if total is None else f"{done}/{total}"
        shown = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
        self._stage = self._bars.add_task(escape(shown), total=total, completed=done, count=count, left=False)
        self._show()

    def reach(self, done: int) -> None:
        """So many units of the stage are done."""
        self._work.count(self._kind, done - self._done)
        self._done = done
        if self._total is None:
            self._end_stage()
        elif self._stage is not None:
            self._bars.update(self._stage, completed=done, count=f"{done}/{self._total}")
        self._show()

    def line(self) -> str:
        """What a log is told: how much is done, and the time so far and left."""
        done, total = self._work.counts
        counted = f"{done} of {total}" if self._total is None else f"{self._label}: {self._done} of {self._total}"
        return f"progress  {counted} {self._noun}; {duration(self._work.elapsed)} so far, {self._work.in_words()}"

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._bars.remove_task(self._stage)
            self._stage = None

    def _show(self) -> None:
        done, total = self._work.counts
        self._bars.update(self._whole, total=total, completed=done, count=f"{done}/{total}")

    def _write_lines(self) -> None:
        with suppress(OSError, SealError):  # what ails the output is said by the run, which writes to it as well
            while not self._stop.wait(self._every):
                self._console.print(self.line(), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        if not self._console.is_terminal:
            self._lines.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._bars.stop()
        if self._lines.is_alive():
            self._lines.join()


class _Left(ProgressColumn):
    """The remaining time, in the row of the whole run."""

    def __init__(self, work: Work) -> None:
        super().__init__(Column(no_wrap=True))
        self._work = work

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(self._work.in_words() if task.fields["left"] else "", style="progress.remaining")
