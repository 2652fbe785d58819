"""episodes.jsonl: a line for each episode of a run, and the episodes again from these lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seal_env.agents.base import Trajectory, Turn
from seal_env.experiments.versions import package_versions
from seal_env.journal import Journal, finite
from seal_env.report.whole_episode import whole_info
from seal_env.settings import Settings

FILE: Final = "episodes.jsonl"
DERIVED: Final = ("task", "budget", "segment")
"""Fields of info that follow from the task and the settings, and are in no record."""


class EpisodeLog:
    """The episodes of a run folder, by index. Infrastructure failures that are found in it are dropped, to be tried again.

    Args:
        folder: The run folder.

    Raises:
        StorageError: If it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._journal, self._versions = Journal(folder / FILE), package_versions()
        found = self._journal.read_as(_whole_record)
        kept = [record for record in found if not record["truncated"]]
        if len(kept) < len(found):
            self._journal.replace(kept)
        self.records: dict[int, Mapping[str, Any]] = {record["episode"]: record for record in kept}

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one episode; it is on the disk when this returns. Numbers that are not finite become null.

        Characters beyond ASCII are escaped: agents may write line separators, and lone surrogates, which UTF-8 lacks.
        """
        whole = finite({**record, "versions": self._versions})
        self._journal.append(whole)
        self.records[record["episode"]] = whole

    def sort(self) -> None:
        """Have the lines in the order of the episodes, where failures were tried again."""
        ordered = [self.records[index] for index in sorted(self.records)]
        if ordered != [*self.records.values()]:
            self._journal.replace(ordered)

    def forget(self) -> None:
        """Drop all episodes."""
        self._journal.replace([])
        self.records.clear()


def episode_record(index: int, run: Mapping[str, Any], used: Settings, trajectory: Trajectory) -> dict[str, Any]:
    """One line of episodes.jsonl: the last info, the actions and rewards of every turn, and the timings.

    Args:
        index: Of the episode in the run.
        run: The table `run` of settings.toml.
        used: Settings of the environment.
        trajectory: The episode.
    """
    turns = trajectory.turns
    return {
        "episode": index,
        "environment": run["environment"],
        "subset": used.subset,
        "model": used.model,
        "agent": run["agent"],
        "seed": run["seed"],
        **{name: value for name, value in whole_info(trajectory).items() if name not in DERIVED},
        "task_id": trajectory.task_id,
        "actions": [turn.action for turn in turns],
        "outcomes": [turn.info["outcome"] for turn in turns],
        "reasons": [turn.info["reason"] for turn in turns],
        "rewards": [turn.reward for turn in turns],
        **({"updates": [_update(turn) for turn in turns]} if used.sequence > 1 else {}),
        "reward": trajectory.reward,
        "truncated": trajectory.truncated,
        "timings": {name: round(seconds, 4) for name, seconds in trajectory.timings.items()},
    }


def _update(turn: Turn) -> int | None:
    """Which update of a sequence a turn ended with, from 1; None if it ended with none that was scored."""
    return int(turn.info["position"]) if turn.info.get("accuracy_after") is not None else None


def _whole_record(record: dict[str, Any]) -> dict[str, Any]:
    """A record of which the episode can be told. Raises TypeError, KeyError or ValueError for another one."""
    told = trajectory_of(record)
    if not isinstance(record["episode"], int) or not told.turns:
        raise ValueError("it has no number or no turns")
    return record


def trajectory_of(record: Mapping[str, Any]) -> Trajectory:
    """The episode that a line tells of."""
    rewards = [math.nan if reward is None else float(reward) for reward in record["rewards"]]
    infos = [
        {"outcome": outcome, "reason": reason} for outcome, reason in zip(record["outcomes"], record["reasons"], strict=True)
    ]
    infos[-1] = {**record, **infos[-1]}
    told = zip(record["actions"], rewards, infos, strict=True)
    turns = tuple(Turn("", action, reward, info) for action, reward, info in told)
    return Trajectory(record["task_id"], turns, record["truncated"], dict(record["timings"]))
