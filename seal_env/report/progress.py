"""Live progress of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from seal_env.agents.base import Trajectory
from seal_env.report.episode_tables import accuracy_change, change, failure
from seal_env.report.formats import number, plural, seconds
from seal_env.report.whole_episode import task_label, whole_info

STYLES = ("", "green", "red")


class Progress:
    """Progress of a run: `start` a task, then `finish` it with its trajectory. Use as a context manager around the run.

    A terminal shows a line for each finished episode; below them, the running episode and the whole run with their clocks.

    Args:
        console: Where to print.
        total: Number of episodes of the run.
        finished: How many of them are finished already.
    """

    def __init__(self, console: Console, total: int, finished: int = 0) -> None:
        self._console, self._total, self._finished = console, total, finished
        count = TextColumn("{task.fields[count]}")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), BarColumn(20), count)
        self._bar = RichProgress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._whole = self._bar.add_task("whole run", total=total, completed=finished, count=f"{finished}/{total}")
        self._episode: TaskID | None = None

    def start(self, task_id: str) -> None:
        """Show the task that is running and start its clock."""
        self._episode = self._bar.add_task(f"updating on {escape(task_id)}", total=None, count="")

    def finish(self, trajectory: Trajectory) -> None:
        """Print the result of an episode: one line, and the reason if its outcome is not ok."""
        self._finished += 1
        if self._episode is not None:
            self._bar.remove_task(self._episode)
        self._bar.update(self._whole, advance=1, count=f"{self._finished}/{self._total}")
        info, task = whole_info(trajectory), task_label(trajectory)
        where = f"[{self._finished:>{len(str(self._total))}}/{self._total}] "
        if info.get("accuracy_after") is None:
            self._print(f"{where}{task}  {failure(info)}", "yellow")
            return
        line = f"{where}{task}  accuracy {accuracy_change(info):<14}  reward {number(trajectory.reward)}"
        self._print(f"{line}  {_update(trajectory)}", STYLES[change(info)])
        if failure(info):
            self._print(f"{' ' * len(where)}{failure(info)}", "yellow")

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()


def _update(trajectory: Trajectory) -> str:
    """`100 steps in 4.8 s`, or `100 steps, cached`."""
    train = seconds(trajectory.timings, "train_seconds")
    steps = plural(whole_info(trajectory)["optimizer_steps"], "step")
    if "cache_seconds" in trajectory.timings:
        return f"{steps}, cached"
    return "no update" if train == "-" else f"{steps} in {train} s"
