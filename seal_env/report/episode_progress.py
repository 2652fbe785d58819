"""Live progress of `seal-env run`: a line for each episode, and the progress of the whole run."""

from __future__ import annotations

from rich.console import Console

from seal_env.agents.base import Trajectory
from seal_env.report.episode_tables import accuracy_change, change, failure
from seal_env.report.formats import number, plural, seconds
from seal_env.report.progress import Progress
from seal_env.report.whole_episode import task_label, whole_info
from seal_env.report.work import Work

STYLES = ("", "green", "red")
EPISODES = "episodes"


class EpisodeProgress(Progress):
    """Progress of a run: `start` a task, then `finish` it with its trajectory. Use as a context manager around the run.

    Args:
        console: Where to print.
        total: Number of episodes of the run.
        finished: How many of them are finished already.
    """

    def __init__(self, console: Console, total: int, finished: int = 0) -> None:
        super().__init__(console, Work({EPISODES: total}), EPISODES)
        self._count = total
        self._work.skip(EPISODES, finished)
        self._show()

    def start(self, task_id: str) -> None:
        """Show the task that is running and start its clock."""
        self.begin(EPISODES, f"updating on {task_id}", None)

    def finish(self, trajectory: Trajectory) -> None:
        """Print the result of an episode: one line, and the reason if its outcome is not ok."""
        self.reach(1)
        finished = self._work.done[EPISODES]
        info, task = whole_info(trajectory), task_label(trajectory)
        where = f"[{finished:>{len(str(self._count))}}/{self._count}] "
        if info.get("accuracy_after") is None:
            self._print(f"{where}{task}  {failure(info)}", "yellow")
            return
        line = f"{where}{task}  accuracy {accuracy_change(info):<14}  reward {number(trajectory.reward)}"
        self._print(f"{line}  {_update(trajectory)}", STYLES[change(info)])
        if failure(info):
            self._print(f"{' ' * len(where)}{failure(info)}", "yellow")

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _update(trajectory: Trajectory) -> str:
    """`100 steps in 4.8 s`, or `100 steps, cached`."""
    train = seconds(trajectory.timings, "train_seconds")
    steps = plural(whole_info(trajectory)["optimizer_steps"], "step")
    if "cache_seconds" in trajectory.timings:
        return f"{steps}, cached"
    return "no update" if train == "-" else f"{steps} in {train} s"
