"""One episode in one row. In a sequence of tasks every update has an info of its own; a row stands for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from seal_env.agents.base import Trajectory

SUMS: Final = ("examples", "optimizer_steps", "tokens", "training_tokens")
JOINED: Final = ("self_edit", "losses")
LISTS: Final = ("predictions_before", "predictions_after", "correct_before", "correct_after")


def whole_info(trajectory: Trajectory) -> Mapping[str, Any]:
    """The last info; in a sequence of tasks with the figures of all its updates.

    Scores are means over the tasks, each just before and just after it was learned; costs are sums; self-edits and losses
    follow one another; predictions are a list with an item for each task.
    """
    info = trajectory.info
    if "sequence" not in info:
        return info
    updates = [turn.info for turn in trajectory.turns if turn.info.get("accuracy_after") is not None]
    if all(each is info for each in updates):  # none, or the last info has them all
        return info
    known = dict.fromkeys(name for each in updates for name in each)
    scores = [name for name in known if name.endswith(("_before", "_after")) and name not in LISTS]
    return {
        **info,
        **{name: _mean([each.get(name) for each in updates]) for name in scores},
        **{name: sum(each.get(name, 0) for each in updates) for name in SUMS if name in known},
        **{name: [item for each in updates for item in each.get(name, ())] for name in JOINED if name in known},
        **{name: [each.get(name) for each in updates] for name in LISTS if name in known},
    }


def task_label(trajectory: Trajectory) -> str:
    """The task's id; in a sequence the first one's and how many more there are."""
    more = len(trajectory.info.get("sequence", ())) - 1
    return trajectory.task_id if more < 1 else f"{trajectory.task_id} +{more}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
