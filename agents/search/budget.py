"""The cost of a search."""

from __future__ import annotations

from pydantic import Field

from seal_env.options import Options


class SearchBudget(Options):
    """Number of episodes of a search for each task.

    `trials` self-edits are tried once each, `width` at a time. Then the best `finalists` (of equal ones the latest, from
    when the search knew more) are tried with `repeats` further seeds, the better half of those again, and so on until one is
    left.
    """

    trials: int = Field(32, ge=1)
    """Self-edits that are tried."""
    width: int = Field(8, ge=1)
    """Self-edits that are tried at a time."""
    finalists: int = Field(8, ge=1)
    """Self-edits that are tried with more than one seed."""
    repeats: int = Field(2, ge=1)
    """Further seeds of each round among the finalists."""
    fresh: int = Field(5, ge=1)
    """Seeds that measure the last self-edit, none of which chose it."""

    @property
    def episodes(self) -> int:
        """Episodes of the search for a task; fewer if a self-edit is tried more than once."""
        left, count = min(self.finalists, self.trials), self.trials + self.fresh
        while left > 1:
            left, count = left // 2, count + left * self.repeats
        return count
