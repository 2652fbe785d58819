"""What one step of training reads: rows of tokens, and episodes that begin.

It depends on the settings and the number of the step, never on the model. So it can be drawn while training runs, in a
thread, or ahead of it, in a folder (`recipes.ahead`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

Row = tuple[list[int], list[int]]
"""Token ids and labels of one sequence. A label is its token, or IGNORED."""
IGNORED = -100


@dataclass
class UpdateEpisode:
    """One task under update: batches of each step, the rate at each step, the queries."""

    batches_S: list[list[Row]]
    rates_S: list[float]
    queries: list[Row]
    step: int = 0
    asked: int = 0
    key: str = field(default="", compare=False)

    @property
    def done(self) -> bool:
        """All steps taken."""
        return self.step >= len(self.batches_S)

    def next_queries(self, count: int) -> list[Row]:
        """The next queries in turn; after the last one, the first again."""
        first, self.asked = self.asked, self.asked + count
        return [self.queries[index % len(self.queries)] for index in range(first, first + min(count, len(self.queries)))]

    def trimmed(self, queries: int | None = None) -> UpdateEpisode:
        """What training reads of it: rates in single precision, of its steps only, and the first `queries`."""
        rates = np.asarray(self.rates_S[: len(self.batches_S)], dtype=np.float32)
        return UpdateEpisode(self.batches_S, rates.tolist(), self.queries[:queries], key=self.key)


@dataclass(frozen=True)
class Start:
    """An episode that begins in a task's place, with a fresh adapter drawn from the seed."""

    task: int
    seed: int
    episode: UpdateEpisode


@dataclass(frozen=True)
class StepData:
    """One step.

    Attributes:
        plain: Rows without adapters.
        self_edits: Rows of self-edits to be written, without adapters too.
        starts: For each step of the adapters, the episodes that begin before it.
    """

    plain: list[Row]
    self_edits: list[Row] = field(default_factory=list)
    starts: list[list[Start]] = field(default_factory=list)

    def copy(self) -> StepData:
        """The same, with episodes that have not begun."""
        starts = [[Start(each.task, each.seed, each.episode.trimmed()) for each in starts] for starts in self.starts]
        return StepData(self.plain, self.self_edits, starts)

    def rows(self) -> list[Row]:
        """Every row, as often as adapters or model learn it; queries once."""
        episodes = [start.episode for starts in self.starts for start in starts]
        learned = [row for episode in episodes for batch in (*episode.batches_S, episode.queries) for row in batch]
        return [*self.plain, *self.self_edits, *learned]

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return sum(len(ids) for ids, _ in self.rows())


Source = Callable[[int], StepData]
"""Number of a step -> what it reads."""


def supervised(rows: Sequence[Row]) -> int:
    """Tokens that carry loss."""
    return sum(label != IGNORED for _, labels in rows for label in labels[1:])
