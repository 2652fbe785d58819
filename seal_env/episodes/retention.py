"""The retention matrix: the score on each task of a sequence after each update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Row = tuple[float | None, ...]


@dataclass
class RetentionMatrix:
    """Row k: scores, in [0, 1], after k updates; column t: those on task t, None where it was not evaluated.

    Row 0 is the base model's, on all tasks. Row k has the tasks 0..k at least: those learned so far, and the next one.
    """

    task_ids: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)

    def add(self, scores: Sequence[float | None]) -> None:
        """The row after one more update."""
        assert len(scores) == len(self.task_ids)
        self.rows.append(tuple(scores))

    def replace_last(self, scores: Sequence[float | None]) -> None:
        """Another last row: the update was rolled back."""
        self.rows.pop()
        self.add(scores)

    @property
    def updates(self) -> int:
        """How many rows there are after the base model's."""
        return len(self.rows) - 1

    def seen(self, updates: int | None = None) -> float:
        """Mean score, after so many updates (all by default), on the tasks learned by then."""
        row = self.rows[self.updates if updates is None else updates]
        return _mean(row[: self.updates if updates is None else updates])

    def reward(self, updates: int, over: str) -> float:
        """Reward of the update that made `updates` of them, by the setting `reward_over`."""
        if over == "new":
            return float(self.rows[updates][updates - 1] or 0.0)
        if over == "seen":
            return self.seen(updates)
        after, before = self.rows[updates][:updates], self.rows[updates - 1][:updates]
        return sum((b or 0.0) - (a or 0.0) for a, b in zip(before, after, strict=True)) / updates

    def forgetting(self) -> float:
        """Mean, over the tasks learned before the last one, of the best score since it was learned minus the last score.

        As in Chaudhry et al. 2018 (arXiv 1801.10112); 0 before the second update.
        """
        last = self.updates
        drops = [
            max(_known(self.rows[k][task]) for k in range(task + 1, last)) - _known(self.rows[last][task])
            for task in range(last - 1)
        ]
        return _mean(drops)

    def backward_transfer(self) -> float:
        """Mean, over the tasks learned before the last one, of the last score minus the score just after it was learned.

        As in Lopez-Paz and Ranzato 2017 (arXiv 1706.08840); 0 before the second update.
        """
        last = self.updates
        return _mean([_known(self.rows[last][t]) - _known(self.rows[t + 1][t]) for t in range(last - 1)])

    def as_lists(self) -> list[list[float | None]]:
        """The rows, for JSON."""
        return [list(row) for row in self.rows]


def _known(score: float | None) -> float:
    assert score is not None, "every task is evaluated after each update since it was learned"
    return score


def _mean(scores: Sequence[float | None]) -> float:
    known = [_known(score) for score in scores]
    return sum(known) / len(known) if known else 0.0
