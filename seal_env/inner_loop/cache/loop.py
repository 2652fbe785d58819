"""An inner loop that remembers: jobs whose results are known are not run again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

from seal_env.inner_loop.cache.store import ResultStore
from seal_env.types import Example, InnerLoop, Outcome, Recipe, UpdateJob, UpdateResult

LOCATION: Final = "SEAL_ENV_CACHE"
"""Environment variable that says where results are kept, for everyone who names no file."""

FILE_NAME: Final = "cache.sqlite"
KEPT: Final = (Outcome.OK, Outcome.DIVERGED)
"""Outcomes that say something about the job; the others are the machine's."""


@dataclass(frozen=True)
class CacheStatistics:
    """Jobs by what became of them. hits: found. shared: run once for several equal jobs. misses: run."""

    hits: int = 0
    shared: int = 0
    misses: int = 0

    @property
    def jobs(self) -> int:
        """All jobs."""
        return self.hits + self.shared + self.misses

    @property
    def hit_rate(self) -> float:
        """Share of the jobs that were not run, in [0, 1]; 0 if there were none."""
        return (self.hits + self.shared) / max(1, self.jobs)

    def since(self, earlier: CacheStatistics) -> CacheStatistics:
        """What came after `earlier`."""
        return CacheStatistics(self.hits - earlier.hits, self.shared - earlier.shared, self.misses - earlier.misses)


def statistics_of(inner_loop: InnerLoop) -> CacheStatistics:
    """The counts of an inner loop that remembers; no jobs at all for one that does not."""
    return inner_loop.statistics if isinstance(inner_loop, CachedInnerLoop) else CacheStatistics()


class CachedInnerLoop:
    """Runs the jobs whose results are not in the store, equal ones once, and keeps what comes of them.

    A result that was not run for its job is equal to a fresh one but for `timings`, which then holds `cache_seconds` alone:
    how long looking up took. A job with `save_to` is always run, because its adapter has to be written.
    """

    def __init__(self, inner: InnerLoop, key: Callable[[UpdateJob], str], store: ResultStore) -> None:
        self.inner, self.store = inner, store
        self._key = key
        self._statistics = CacheStatistics()
        self._counting = Lock()

    @property
    def statistics(self) -> CacheStatistics:
        """Counts since this loop was made."""
        return self._statistics

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """See InnerLoop."""
        return self.inner.count_tokens(examples)

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop."""
        return self.inner.max_tokens(recipe)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. What has to be run goes to the inner loop in one call."""
        began = time.perf_counter()
        keys = [self._key(job) for job in jobs]
        found = self.store.find({key for key, job in zip(keys, jobs, strict=True) if job.save_to is None})
        took = time.perf_counter() - began
        running = _to_run(jobs, keys, found)
        fresh = dict(zip(running, self.inner.run([jobs[index] for index in running]) if running else (), strict=True))
        by_key = {keys[index]: result for index, result in fresh.items()}
        self.store.add({key: result for key, result in by_key.items() if result.outcome in KEPT})
        known = {key: replace(result, timings={"cache_seconds": took}) for key, result in (by_key | found).items()}
        hits = sum(index not in fresh and key in found for index, key in enumerate(keys))
        self._count(CacheStatistics(hits, len(jobs) - hits - len(fresh), len(fresh)))
        return [fresh[index] if index in fresh else known[key] for index, key in enumerate(keys)]

    def _count(self, new: CacheStatistics) -> None:
        with self._counting:
            old = self._statistics
            self._statistics = CacheStatistics(old.hits + new.hits, old.shared + new.shared, old.misses + new.misses)


def _to_run(jobs: Sequence[UpdateJob], keys: Sequence[str], found: dict[str, UpdateResult]) -> list[int]:
    """Indices of the jobs to run: all that save, and of the others the first of each key that nobody else brings."""
    brought = {key for key, job in zip(keys, jobs, strict=True) if job.save_to is not None} | found.keys()
    running = []
    for index, (key, job) in enumerate(zip(keys, jobs, strict=True)):
        if job.save_to is not None or key not in brought:
            running.append(index)
            brought.add(key)
    return running


def cache_path(named: str | None = None) -> Path | None:
    """The file to keep results in: `named`, or else what SEAL_ENV_CACHE says, or else None, the memory of this process.

    Either names a file or a directory, in which cache.sqlite is meant; a path that is not there yet and has no suffix is
    a directory.
    """
    place = named or os.environ.get(LOCATION)
    if not place:
        return None
    path = Path(place).expanduser().absolute()
    is_file = path.is_file() or (path.suffix != "" and not path.is_dir())
    return path if is_file else path / FILE_NAME


@lru_cache(maxsize=64)
def open_store(path: Path | None, writable: bool) -> ResultStore:
    """The one store of this process for this file, or for its memory."""
    return ResultStore(path, writable)
