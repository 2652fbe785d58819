"""Rows of benchmarks/inner_loop.py as they are measured: processes, turns, and what came of each self-edit."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from queue import SimpleQueue

from inner_loop_jobs import Case, Entry, Preset, parts
from inner_loop_rows import Done, Order, RowSpec, work

from seal_env.types import Outcome, UpdateJob, UpdateResult

Share = list[tuple[Entry, UpdateJob]]
"""Self-edits and their jobs."""


class RowFailed(Exception):
    """The row cannot be measured, for the reason that the message gives."""


@dataclass(frozen=True)
class Turn:
    """A row's share of a round: its self-edits, and the wall-clock seconds of each call of the loop."""

    entries: tuple[Entry, ...]
    calls: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """All calls together."""
        return sum(self.calls)


@dataclass
class Row:
    """One row. missing: why it is not measured, empty if it is.

    warm_up: a small job that each process runs first, so that no turn pays for imports. keep: its processes live as long as
    the run; otherwise they are started for each turn. known: how many results came out of the cache.
    """

    spec: RowSpec
    order: Order
    warm_up: UpdateJob
    processes: int = 1
    keep: bool = True
    missing: str = ""
    turns: list[Turn] = field(default_factory=list)
    results: dict[Entry, UpdateResult] = field(default_factory=dict)
    known: int = 0
    _peaks: dict[int, int] = field(default_factory=dict)
    _workers: list[ProcessPoolExecutor] = field(default_factory=list)
    _starting: list[Future[Done]] = field(default_factory=list)
    _waiting: Share = field(default_factory=list)

    @property
    def peak(self) -> int:
        """Bytes at the most, of all processes together."""
        return sum(self._peaks.values())

    def start(self) -> None:
        """Start the processes, without waiting for them."""
        context = get_context("spawn")
        self._workers = [ProcessPoolExecutor(1, mp_context=context) for _ in range(self.processes)]
        self._starting = [worker.submit(work, self.order, [self.warm_up]) for worker in self._workers]

    def ready(self) -> bool:
        """Wait for the processes, started here if they are not; False if the row is missing."""
        if self.missing:
            return False
        try:
            if not self._workers:
                self.start()
            while self._starting:
                self._done(len(self._starting) - 1, self._starting.pop())
        except RowFailed as error:
            self.missing = str(error)
            self.stop()
        return not self.missing

    def stop(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.shutdown(cancel_futures=True)
        self._workers = []

    def take(self, share: Share, last: bool) -> None:
        """Run this share, as far as it fills calls of `in_call` jobs; what is left over waits for the next, unless last."""
        self._waiting += share
        count = len(self._waiting) if last else len(self._waiting) // self.spec.in_call * self.spec.in_call
        now, self._waiting = self._waiting[:count], self._waiting[count:]
        if not now:
            return
        with self._running() as runs:
            if runs:
                calls = self._parallel(now) if self.processes > 1 else self._in_turn(now)
                self.turns.append(Turn(tuple(entry for entry, _ in now), tuple(calls)))

    def run_aside(self, share: Share) -> dict[Entry, UpdateResult]:
        """Results of jobs that do not count; none if the row is missing."""
        with self._running() as runs:
            if runs:
                done = self._call(0, [job for _, job in share])
                return dict(zip((entry for entry, _ in share), done.results, strict=True))
        return {}

    @contextmanager
    def _running(self) -> Iterator[bool]:
        """Whether the row has its processes, ready to work. Within, a failure makes the row a missing one."""
        if not self.ready():
            yield False
            return
        try:
            yield True
        except RowFailed as error:
            self.missing = str(error)
        if not self.keep or self.missing:
            self.stop()

    def _in_turn(self, share: Share) -> list[float]:
        calls = []
        for start in range(0, len(share), self.spec.in_call):
            chunk = share[start : start + self.spec.in_call]
            began = time.perf_counter()
            done = self._call(0, [job for _, job in chunk])
            calls.append(time.perf_counter() - began)
            self.results |= zip((entry for entry, _ in chunk), done.results, strict=True)
            self.known += sum("cache_seconds" in result.timings for result in done.results)
        return calls

    def _parallel(self, share: Share) -> list[float]:
        """One job at a time in each process, the next one in whichever is free."""
        free: SimpleQueue[int] = SimpleQueue()
        for index in range(self.processes):
            free.put(index)

        def one(job: UpdateJob) -> UpdateResult:
            index = free.get()
            try:
                return self._call(index, [job]).results[0]
            finally:
                free.put(index)

        began = time.perf_counter()
        with ThreadPoolExecutor(self.processes) as threads:
            results = list(threads.map(one, [job for _, job in share]))
        self.results |= zip((entry for entry, _ in share), results, strict=True)
        return [time.perf_counter() - began]

    def _call(self, index: int, jobs: Sequence[UpdateJob]) -> Done:
        return self._done(index, self._workers[index].submit(work, self.order, jobs))

    def _done(self, index: int, future: Future[Done]) -> Done:
        try:
            done = future.result()
        except BrokenProcessPool:
            raise RowFailed("its process died, as one does that the system takes for memory") from None
        if done.failure:
            raise RowFailed(done.failure)
        failed = next((result for result in done.results if result.outcome.is_infrastructure), None)
        if failed is not None:
            raise RowFailed(f"{failed.outcome}: {failed.reason}")
        self._peaks[index] = max(self._peaks.get(index, 0), done.peak)
        return done


def make_rows(
    preset: Preset, specs: Sequence[RowSpec], model: str, device: str, threads: int, cases: Sequence[Case]
) -> list[Row]:
    """The rows, not started. One that wants more jobs in a call than there are is missing from the beginning.

    On a CPU all processes live as long as the run; on CUDA each row has the device for itself in its turn.
    """
    rows = []
    for spec in specs:
        processes = preset.processes if spec.parallel else 1
        order = Order(spec.loop, model, device, max(1, threads // processes), preset.pad_to, spec.cached)
        row = Row(spec, order, small_job(job_of(cases[0], preset, spec.published)), processes, keep=device == "cpu")
        if spec.in_call > len(cases):
            row.missing = f"needs at least {spec.in_call} self-edits, there are {len(cases)}"
        rows.append(row)
    return rows


def job_of(case: Case, preset: Preset, published: bool) -> UpdateJob:
    """The case's job, under the published recipe if wanted."""
    return replace(case.job, recipe=preset.published) if published else case.job


def small_job(job: UpdateJob) -> UpdateJob:
    """Two of its examples once, and one query: what a process warms up with."""
    return replace(
        job, examples_E=job.examples_E[:2], training=replace(job.training, num_train_epochs=1), queries_Q=job.queries_Q[:1]
    )


def share_of(row: Row, cases: Sequence[Case], preset: Preset, entries: Sequence[Entry], published: bool = False) -> Share:
    """The row's jobs for these entries; a self-edit that changes nothing is a job without examples."""
    share = []
    for entry in entries:
        job = job_of(cases[entry.case], preset, published or row.spec.published)
        share.append((entry, replace(job, examples_E=()) if entry.no_op else job))
    return share


def measure(rows: Sequence[Row], cases: Sequence[Case], preset: Preset, sampled: Sequence[Entry]) -> None:
    """Every row's share of each round, one row after another, so that a slow minute of the machine hits all of them."""
    for row in rows:
        if row.keep and not row.missing:
            row.start()
    for row in rows:
        if row.keep:
            row.ready()
    shares = parts(len(cases), preset.rounds)
    for number, share in enumerate(shares, 1):
        for row in rows:
            entries = [sampled[place] if row.spec.cached else Entry(place) for place in share]
            turns = len(row.turns)
            row.take(share_of(row, cases, preset, entries), last=number == len(shares))
            for turn in row.turns[turns:]:
                words = f"{len(turn.entries)} self-edits in {turn.seconds:.1f} s"
                print(f"round {number}/{len(shares)}  {row.spec.name}: {words}", file=sys.stderr, flush=True)


def rewards(row: Row, cases: Sequence[Case], results: Mapping[Entry, UpdateResult] | None = None) -> dict[int, float]:
    """Accuracy after the update by number of the case; an update that diverged earns 0."""
    found = row.results if results is None else results
    return {
        entry.case: cases[entry.case].score(result.answers_Q) if result.outcome is Outcome.OK else 0.0
        for entry, result in found.items()
        if not entry.no_op
    }
