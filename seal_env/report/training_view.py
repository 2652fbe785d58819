"""An update while it trains: how far it is, its loss, and the curve so far."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from seal_env.inner_loop.watch import TrainingStep
from seal_env.report.episode_view import MOST_BARS, curve
from seal_env.report.formats import plural

BAR_WIDTH = 40


class TrainingView:
    """Shows the optimizer steps of one update; `note` takes each. Use as a context manager around the update.

    A terminal is drawn anew after each step; anywhere else one line says in the end what the losses were.

    Args:
        console: Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.losses: list[float] = []
        self._total = 0
        self._console = console
        self._live = Live(self._drawn(), console=console, transient=True, refresh_per_second=8)

    def note(self, step: TrainingStep) -> None:
        """An optimizer step was taken."""
        self.losses.append(step.loss)
        self._total = step.total
        self._live.update(self._drawn())

    def _drawn(self) -> RenderableType:
        done = len(self.losses)
        if not done:
            return Spinner("dots", Text("the model answers as it is"))
        bar = ProgressBar(self._total, done, width=BAR_WIDTH)
        now = "training" if done < self._total else "the updated model answers"
        head = Text(f"step {done} of {self._total}, loss {self.losses[-1]:.3f}: {now}")
        return Group(head, bar, Text(curve(self.losses), "cyan"))

    def __enter__(self) -> TrainingView:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            text = f"loss      {first:.3f} -> {last:.3f} in {plural(len(self.losses), 'step')}  "
            room = min(MOST_BARS, max(1, self._console.width - len(text)))
            self._console.print(text + curve(self.losses, room), soft_wrap=True, markup=False, highlight=False)
