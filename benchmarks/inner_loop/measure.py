"""Measure rows: each turn of a row runs in processes of its own, because an adapter sits among the model's modules."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from benchmarks.inner_loop.hardware import peak_memory
from benchmarks.inner_loop.jobs import Case, Preset
from benchmarks.inner_loop.rows import PublishedRecipe, RowSpec
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.types import Outcome, UpdateJob, UpdateResult

Share = list[tuple[int, UpdateJob]]
"""Jobs with the numbers of their cases."""


class RowFailed(Exception):
    """The row cannot be measured; the message says why."""


@dataclass(frozen=True)
class Order:
    """What a process works with."""

    loop: str
    model: str
    device: str
    threads: int
    pad_to: int | None = None


@dataclass
class Done:
    """What a process returns.

    Attributes:
        seconds: Wall-clock time of each call of the loop.
        results: Of all jobs, in order.
        peak: Bytes of memory taken since before the model was loaded.
        failure: Why the rest is empty; empty if it is not.
    """

    seconds: list[float] = field(default_factory=list)
    results: list[UpdateResult] = field(default_factory=list)
    peak: int = 0
    failure: str = ""


_barrier: Any  # set in each process before it works


def _set_barrier(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def work(order: Order, warm_up: UpdateJob, calls: Sequence[Sequence[UpdateJob]]) -> Done:
    """Make the loop, run the small job `warm_up` so that no call pays for imports, wait for the others, run the calls."""
    done = Done()
    try:
        before = 0 if torch.device(order.device).type == "cuda" else peak_memory(order.device)
        loop: Any
        if order.loop == "published":
            loop = PublishedRecipe(load_base_model(order.model, order.device), order.pad_to)
        else:
            loop = make_inner_loop(order.loop, order.model, order.device, cache="off")
        torch.set_num_threads(order.threads)  # after the model is loaded: in a forked process that leaves one thread
        loop.run([warm_up])
        _barrier.wait()
        for jobs in calls:
            began = time.perf_counter()
            done.results += loop.run(jobs)
            done.seconds.append(time.perf_counter() - began)
        done.peak = peak_memory(order.device) - before
    except Exception as error:
        traceback.print_exc()
        _barrier.abort()
        return Done(failure=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    return done


def run_calls(order: Order, warm_up: UpdateJob, calls: Sequence[Sequence[UpdateJob]], processes: int = 1) -> list[Done]:
    """The calls in new processes, dealt out in turn. Raises RowFailed."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.inner_loop.measure"])  # torch and transformers are imported once
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, initializer=_set_barrier, initargs=(barrier,)) as pool:
        futures = [pool.submit(work, order, warm_up, calls[index::processes]) for index in range(processes)]
        try:
            found = [future.result() for future in futures]
        except BrokenProcessPool:
            raise RowFailed("its process died, probably because memory ran out") from None
    failures = [done.failure for done in found if done.failure]
    failures += [
        f"{each.outcome}: {each.reason}" for done in found for each in done.results if each.outcome.is_infrastructure
    ]
    if failures:
        raise RowFailed(failures[0])
    return found


@dataclass(frozen=True)
class Turn:
    """A row's share of a round: numbers of its cases, and the wall-clock seconds of each call of the loop."""

    cases: tuple[int, ...]
    calls: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """All calls together."""
        return sum(self.calls)


@dataclass
class Row:
    """One row of the table.

    Attributes:
        spec: What is measured.
        order: What its processes work with.
        warm_up: A small job.
        processes: How many at once.
        missing: Why it is not measured; empty if it is.
        turns: One for each round in which it had enough jobs for a call.
        results: By number of the case.
        peak: Bytes of memory, of all processes together.
    """

    spec: RowSpec
    order: Order
    warm_up: UpdateJob
    processes: int = 1
    missing: str = ""
    turns: list[Turn] = field(default_factory=list)
    results: dict[int, UpdateResult] = field(default_factory=dict)
    peak: int = 0
    _waiting: Share = field(default_factory=list)

    def take(self, share: Share, last: bool) -> None:
        """Run this share as far as it fills calls of `in_call` jobs; the rest waits for the next share, unless last."""
        size = self.spec.in_call
        self._waiting += share
        count = len(self._waiting) if last else len(self._waiting) // size * size
        now, self._waiting = self._waiting[:count], self._waiting[count:]
        if not now or self.missing:
            return
        calls = [now[start : start + size] for start in range(0, count, size)]
        try:
            found = run_calls(self.order, self.warm_up, [[job for _, job in call] for call in calls], self.processes)
        except RowFailed as error:
            self.missing = str(error)
            return
        for index, done in enumerate(found):
            numbers = [number for call in calls[index :: self.processes] for number, _ in call]
            self.results |= zip(numbers, done.results, strict=True)
        seconds = found[0].seconds if self.processes == 1 else [max(sum(done.seconds) for done in found)]
        self.turns.append(Turn(tuple(number for number, _ in now), tuple(seconds)))
        self.peak = max(self.peak, sum(done.peak for done in found))


def make_rows(
    preset: Preset, specs: Sequence[RowSpec], model: str, device: str, threads: int, cases: Sequence[Case]
) -> list[Row]:
    """The rows, not measured yet. One with more jobs in a call than there are self-edits is missing from the beginning."""
    rows = []
    for spec in specs:
        processes = preset.processes if spec.parallel else 1
        order = Order(spec.loop, model, device, max(1, threads // processes), preset.pad_to)
        row = Row(spec, order, small_job(job_of(spec, cases[0], preset)), processes)
        if spec.in_call > len(cases):
            row.missing = f"needs at least {spec.in_call} self-edits, there are {len(cases)}"
        rows.append(row)
    return rows


def job_of(spec: RowSpec, case: Case, preset: Preset) -> UpdateJob:
    """The row's job for a case: under the published recipe where padding carries loss."""
    return replace(case.job, recipe=preset.published) if spec.pad_loss else case.job


def small_job(job: UpdateJob) -> UpdateJob:
    """Two of the job's examples, one epoch and one query."""
    training = replace(job.training, num_train_epochs=1)
    return replace(job, examples_E=job.examples_E[:2], training=training, queries_Q=job.queries_Q[:1])


def measure(rows: Sequence[Row], cases: Sequence[Case], preset: Preset) -> None:
    """Every row's share of each round, one row after another, so that a slow minute of the machine affects all of them."""
    rounds = np.array_split(np.arange(len(cases)), min(preset.rounds, len(cases)))
    for index, numbers in enumerate(rounds, 1):
        for row in rows:
            turns = len(row.turns)
            share = [(int(number), job_of(row.spec, cases[number], preset)) for number in numbers]
            row.take(share, last=index == len(rounds))
            for turn in row.turns[turns:]:
                done = f"{len(turn.cases)} self-edits in {turn.seconds:.1f} s"
                print(f"round {index}/{len(rounds)}  {row.spec.name}: {done}", file=sys.stderr, flush=True)


def rewards(row: Row, cases: Sequence[Case]) -> dict[int, float]:
    """Accuracy after the update by number of the case; 0 for an update that diverged."""
    return {
        number: cases[number].score(result.answers_Q) if result.outcome is Outcome.OK else 0.0
        for number, result in row.results.items()
    }
