"""An inner loop with a cache: jobs whose results are known are not run again."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from seal_env.forking import Lock
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.store import Store
from seal_env.types import (
    InnerLoop,
    Outcome,
    UpdateJob,
    UpdateResult,
)

logger = logging.getLogger(__name__)

CACHED: Final = (Outcome.OK, Outcome.DIVERGED)
"""Outcomes that depend on the job alone; the others are infrastructure failures."""


@dataclass(frozen=True)
class CacheStatistics:
    """How many jobs were served in which way.

    Attributes:
        hits: Found in the store.
        shared: Served by an equal job of the same call.
        misses: Run.
    """

    hits: int = 0
    shared: int = 0
    misses: int = 0

    @property
    def jobs(self) -> int:
        """All jobs."""
        return self.hits + self.shared + self.misses

    @property
    def hit_rate(self) -> float:
        """Share of the jobs that were not run, in [0, 1]; 0 without jobs."""
        return (self.hits + self.shared) / max(1, self.jobs)

    def since(self, earlier: CacheStatistics) -> CacheStatistics:
        """What was counted after `earlier`."""
        return CacheStatistics(self.hits - earlier.hits, self.shared - earlier.shared, self.misses - earlier.misses)


def statistics_of(inner_loop: InnerLoop) -> CacheStatistics:
    """The counts of an inner loop with a cache; all 0 for one without."""
    return inner_loop.statistics if isinstance(inner_loop, CachedInnerLoop) else CacheStatistics()


class CachedInnerLoop(WrappedInnerLoop):
    """Runs the jobs whose results are not in the store, equal ones once, and stores their results.

    A job with `save_to` is always run, because its adapter has to be written. A result that was not run for its job equals a
    fresh one except that it has no `adapter`, and that `timings` holds nothing but `cache_seconds`, the time of the look-up.
    """

    def __init__(self, inner: InnerLoop, key: Callable[[UpdateJob], str], store: Store[UpdateResult]) -> None:
        """Wrap an inner loop.

        Args:
            inner: What runs the jobs.
            key: Equal for jobs with equal results; see `seal_env.inner_loop.cache.key`.
            store: Where results are.
        """
        super().__init__(inner)
        self.store = store
        self._key = key
        self._statistics = CacheStatistics()
        self._counting = Lock()

    @property
    def statistics(self) -> CacheStatistics:
        """Counts since this loop was made."""
        return self._statistics

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. The jobs to run go to the wrapped inner loop in one call."""
        began = time.perf_counter()
        keys = [self._key(job) for job in jobs]
        wanted = {key: job for key, job in zip(keys, jobs, strict=True) if job.save_to is None}
        found = {key: known for key, known in self.store.find(wanted).items() if _fits(known, wanted[key])}
        took = time.perf_counter() - began
        running = _to_run(jobs, keys, found)
        fresh = dict(zip(running, self.inner.run([jobs[index] for index in running]) if running else (), strict=True))
        by_key = {keys[index]: result for index, result in fresh.items()}
        self.store.add({key: result for key, result in by_key.items() if result.outcome in CACHED})
        timings = {"cache_seconds": took}
        known = {key: replace(result, timings=timings, adapter=None) for key, result in (by_key | found).items()}
        hits = sum(index not in fresh and key in found for index, key in enumerate(keys))
        self._count(CacheStatistics(hits, len(jobs) - hits - len(fresh), len(fresh)))
        took = time.perf_counter() - began
        logger.debug("%d jobs: %d from the cache, %d run in %.2f s", len(jobs), hits, len(fresh), took)
        return [fresh[index] if index in fresh else known[key] for index, key in enumerate(keys)]

    def _count(self, new: CacheStatistics) -> None:
        with self._counting.held():
            old = self._statistics
            self._statistics = CacheStatistics(old.hits + new.hits, old.shared + new.shared, old.misses + new.misses)


def _fits(result: UpdateResult, job: UpdateJob) -> bool:
    """Whether a stored result answers this job's queries; a warning if not, since nobody knows then whose it is."""
    answered = [answer.query_id for answer in result.answers_Q]
    fits = answered == [query.query_id for query in job.queries_Q] or (result.outcome is Outcome.DIVERGED and not answered)
    if not fits:
        warnings.warn("a cached result answers other queries than its job has; the job is run again", RuntimeWarning, 2)
    return fits


def _to_run(jobs: Sequence[UpdateJob], keys: Sequence[str], found: dict[str, UpdateResult]) -> list[int]:
    """Indices of the jobs to run: every job with `save_to`, and the first job of each key that is still unknown then."""
    covered = {key for key, job in zip(keys, jobs, strict=True) if job.save_to is not None} | found.keys()
    running = []
    for index, (key, job) in enumerate(zip(keys, jobs, strict=True)):
        if job.save_to is not None or key not in covered:
            running.append(index)
            covered.add(key)
    return running
