"""Live progress of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from seal_env.agents.base import Trajectory
from seal_env.report.tables import accuracy_change, seconds


class Progress:
    """`start` a task, `finish` it with its trajectory; a context manager around the run."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._finished = console, total, 0
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)

    def start(self, task_id: str) -> None:
        """Say which task is being worked on."""
        self._bar.update(self._task, description=f"updating on {task_id}")

    def finish(self, trajectory: Trajectory) -> None:
        """Say what came of it."""
        self._finished += 1
        self._bar.advance(self._task)
        info = trajectory.info
        self._bar.console.print(
            f"[{self._finished}/{self._total}] {trajectory.task_id}: {info['outcome']}, "
            f"accuracy {accuracy_change(info)}, reward {trajectory.reward:.2f}, "
            f"{info.get('optimizer_steps', 0)} steps in {seconds(trajectory, 'train_seconds')} s",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()
