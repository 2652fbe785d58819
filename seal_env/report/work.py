"""How much of a run is done, and how long the rest of it may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from seal_env.report.formats import duration


class Remaining(NamedTuple):
    """An estimate.

    Attributes:
        seconds: That the rest takes at the pace so far; 0 if units that are under way take longer than that.
        whole: Whether every kind of unit that is left has been timed; otherwise the rest takes longer.
    """

    seconds: float
    whole: bool


class Work:
    """Counts the units of a run, and times them. Each kind of unit, as self-edits and optimizer steps, has its own pace.

    Nothing is assumed of a kind before a unit of it has ended in this process; those of earlier ones are counted, not timed.

    Args:
        units: Number of units of the whole run, by kind.
        clock: Seconds.
    """

    def __init__(self, units: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self.units, self.done = dict(units), dict.fromkeys(units, 0)
        self._seconds, self._timed = dict.fromkeys(units, 0.0), dict.fromkeys(units, 0)
        self._clock = clock
        self._began = self._mark = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began in this process."""
        return self._clock() - self._began

    @property
    def counts(self) -> tuple[int, int]:
        """Units that are done, and all units, of every kind together."""
        return sum(self.done.values()), sum(self.units.values())

    def skip(self, kind: str, count: int) -> None:
        """Units that were done before this process."""
        self.done[kind] += count
        self._mark = self._clock()

    def count(self, kind: str, count: int) -> None:
        """Units that have ended since the last call."""
        now = self._clock()
        self.done[kind] += count
        self._timed[kind] += count
        self._seconds[kind] += now - self._mark
        self._mark = now

    def remaining(self) -> Remaining | None:
        """How long the rest may take; None if no unit that is left has been timed."""
        left = {kind: count - self.done[kind] for kind, count in self.units.items() if count > self.done[kind]}
        known = {kind: self._seconds[kind] / self._timed[kind] * count for kind, count in left.items() if self._timed[kind]}
        if left and not known:
            return None
        return Remaining(max(0.0, sum(known.values()) - (self._clock() - self._mark)), known.keys() == left.keys())

    def in_words(self) -> str:
        """`about 3 min 20 s left`, `at least 3 min left` while a kind is not timed yet, or `estimating the time left`.

        `longer than estimated` where units, which may end many at once, are not done at the end of the estimate.
        """
        found = self.remaining()
        if found is None or not (found.seconds or found.whole):
            return "estimating the time left"
        if not found.seconds and any(self.done[kind] < count for kind, count in self.units.items()):
            return "longer than estimated"
        return f"{'about' if found.whole else 'at least'} {duration(found.seconds)} left"
