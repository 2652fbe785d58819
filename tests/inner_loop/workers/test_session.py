"""Orders from many threads share the workers of a session. The workers here answer at once, in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from benchmarks.workers.simulated import IDENTITY, result_of
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.inner_loop.workers.events import Died, Event, Finished, Loaded, Placed
from seal_env.inner_loop.workers.order import Load, Order
from seal_env.inner_loop.workers.session import Session
from seal_env.types import LoraSpec, Recipe, TrainingConfig, UpdateJob, UpdateResult

JOBS = [UpdateJob((), TrainingConfig(), LoraSpec(), Recipe(), number, ()) for number in range(40)]
RESULTS = [result_of(job) for job in JOBS]


class Workers:
    """Answers from threads of its own, as Ray does. Jobs wait until `gate` is open."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self.report, self.gate, self.closed = report, threading.Event(), False
        self.together, self.most, self.all_busy = 0, 0, threading.Event()

    def place(self, worker: int) -> None:
        self.report(Placed(worker))

    def load(self, worker: int) -> None:
        self.report(Loaded(worker, IDENTITY))

    def send(self, worker: int, jobs: Sequence[UpdateJob]) -> None:
        self.together += 1
        self.most = max(self.most, self.together)
        if self.together == 4:
            self.all_busy.set()
        threading.Thread(target=self.finish, args=(worker, jobs), daemon=True).start()

    def finish(self, worker: int, jobs: Sequence[UpdateJob]) -> None:
        self.gate.wait(10)
        self.together -= 1
        self.report(Finished(worker, [result_of(job) for job in jobs]))

    def end(self, worker: int) -> None:
        """Nothing to end."""

    def close(self) -> None:
        self.closed = True


class Loop:
    """An inner loop with workers."""

    def __init__(self, count: int) -> None:
        self.session = Session(self.open, count, 1000)

    def open(self, report: Callable[[Event], None]) -> Workers:
        self.workers = Workers(report)
        return self.workers

    def order(self, jobs: Sequence[UpdateJob]) -> Order:
        order = Order(jobs, [Load(1, 1)] * len(jobs))
        self.session.submit(order)
        return order

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        order = self.order(jobs)
        assert order.wait(10)
        return order.results()


def test_the_batches_of_an_asynchronous_loop_run_on_several_workers_at_once() -> None:
    loop = Loop(4)

    async def play() -> list[UpdateResult]:
        async with AsyncInnerLoop(loop, most=10, at_once=4) as engine:  # type: ignore[arg-type]
            waiting = asyncio.gather(*(engine.submit(job) for job in JOBS))
            await asyncio.to_thread(loop.workers.all_busy.wait, 10)
            loop.workers.gate.set()
            return await waiting

    assert asyncio.run(asyncio.wait_for(play(), 10)) == RESULTS
    assert loop.workers.most == 4
    loop.session.close()


def test_closing_ends_the_workers_and_whoever_waits_hears_of_it() -> None:
    loop = Loop(1)
    order = loop.order(JOBS[:2])
    while not loop.workers.together:
        pass
    loop.session.close()
    assert loop.workers.closed
    with pytest.raises(RuntimeError, match="closed while they ran jobs"):
        order.results()


def test_an_order_that_comes_after_the_end_hears_of_it_at_once() -> None:
    loop = Loop(1)
    loop.session.close()
    order = loop.order(JOBS[:2])
    assert order.is_over
    with pytest.raises(RuntimeError, match="closed"):
        order.results()


@pytest.mark.parametrize("bug", [ValueError("too few results"), TypeError("cannot be sent")])
def test_a_worker_whose_batch_met_a_bug_takes_the_next(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(1)
    loop.workers.gate.set()
    loop.run(())
    with monkeypatch.context() as patched:
        if isinstance(bug, TypeError):
            patched.setattr(loop.workers, "send", lambda *_: (_ for _ in ()).throw(bug))
        else:
            patched.setattr(loop.workers, "finish", lambda worker, _: loop.workers.report(Finished(worker, [])))
        order = loop.order(JOBS[:1])
        assert order.wait(10)
        with pytest.raises(type(bug)):
            order.results()
    assert loop.run(JOBS[1:3]) == RESULTS[1:3]
    loop.session.close()


def test_a_bug_in_the_dispatcher_is_raised_where_jobs_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(1)
    monkeypatch.setattr("seal_env.inner_loop.workers.dispatcher.Dispatcher._died", lambda *_: 1 / 0)
    order = loop.order(JOBS[:1])
    loop.workers.report(Died(0, "killed"))
    assert order.wait(10)
    with pytest.raises(ZeroDivisionError):
        order.results()
    loop.session.close()


def test_an_order_says_who_the_workers_are() -> None:
    loop = Loop(2)
    assert loop.run(()) == []
    assert loop.session.identity == IDENTITY
    loop.workers.gate.set()
    assert (loop.run(JOBS[:3]), loop.session.is_lost) == (RESULTS[:3], False)
    loop.session.close()
