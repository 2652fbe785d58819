"""Which jobs go to which worker, with simulated workers on a simulated clock."""

from __future__ import annotations

import logging

import pytest

from benchmarks.workers.simulated import IDENTITY, SimulatedTransport, result_of
from seal_env.errors import ModelError, UpdateError
from seal_env.inner_loop.workers.dispatcher import MOST_JOBS, NONE_LEFT, Dispatcher
from seal_env.inner_loop.workers.events import Died, Finished, Loaded, Placed, Raised
from seal_env.inner_loop.workers.order import ENDED_WORKERS, Load, Order
from seal_env.types import LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob

JOBS = [UpdateJob((), TrainingConfig(), LoraSpec(), Recipe(), number, ()) for number in range(100)]
RESULTS = [result_of(job) for job in JOBS]


class Recording(SimulatedTransport):
    """Remembers who was sent what. Nothing happens unless a test says so."""

    def __init__(self) -> None:
        super().__init__(len, [float("inf")] * 9)
        self.batches: list[tuple[int, list[int]]] = []
        self.placed: list[int] = []
        self.ended: list[int] = []

    def place(self, worker: int) -> None:
        self.placed.append(worker)

    def send(self, worker: int, jobs: object) -> None:
        self.batches.append((worker, [job.seed for job in jobs]))  # type: ignore[attr-defined]

    def end(self, worker: int) -> None:
        self.ended.append(worker)


def order_of(jobs: list[UpdateJob], step: int = 1, total: int = 1) -> Order:
    return Order(jobs, [Load(step, total)] * len(jobs))


def ready(count: int, jobs: list[UpdateJob], step_tokens: int = 1000) -> tuple[Recording, Dispatcher, Order]:
    """Workers that have loaded the model, and an order."""
    transport = Recording()
    dispatcher, order = Dispatcher(transport, count, step_tokens), order_of(jobs)
    dispatcher.add(order)
    for worker in range(count):
        dispatcher.handle(Placed(worker))
        dispatcher.handle(Loaded(worker, IDENTITY))
    return transport, dispatcher, order


def test_each_worker_gets_its_share_in_the_order_of_the_jobs() -> None:
    transport, _, _ = ready(2, JOBS[:6])
    assert transport.batches == [(0, [0, 1, 2]), (1, [3, 4, 5])]


def test_results_are_in_the_order_of_the_jobs_whichever_worker_is_first() -> None:
    _, dispatcher, order = ready(2, JOBS[:4])
    dispatcher.handle(Finished(1, RESULTS[2:4]))
    assert not order.is_over
    dispatcher.handle(Finished(0, RESULTS[:2]))
    assert order.results() == RESULTS[:4]


@pytest.mark.parametrize(("step", "jobs"), [(400, 2), (1000, 1), (5000, 1), (1, MOST_JOBS)])
def test_a_batch_holds_what_shares_a_pass_and_at_least_one_job(step: int, jobs: int) -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 1, step_tokens=1000)
    dispatcher.handle(Loaded(0, IDENTITY))
    dispatcher.add(order_of(JOBS, step=step))
    assert [len(batch) for _, batch in transport.batches] == [jobs]


def test_no_worker_gets_work_before_it_has_loaded_the_model() -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 2, 1000)
    dispatcher.add(order_of(JOBS[:4]))
    dispatcher.handle(Placed(0))
    assert not transport.batches
    dispatcher.handle(Loaded(1, IDENTITY))
    assert transport.batches == [(1, [0, 1])]


def test_jobs_of_a_dead_worker_are_sent_again_each_alone() -> None:
    transport, dispatcher, order = ready(2, JOBS[:6])
    dispatcher.handle(Died(0, "killed"))
    for _ in range(4):
        worker, batch = transport.batches[-1]
        dispatcher.handle(Finished(worker, [RESULTS[number] for number in batch]))
    assert [batch for _, batch in transport.batches[2:]] == [[0], [1], [2]]
    assert order.results() == RESULTS[:6]
    assert transport.placed == [0, 1, 0]


def test_a_job_that_ends_two_workers_alone_fails_and_no_other_does() -> None:
    transport = SimulatedTransport(len, [0.0] * 3, poison=lambda job: job.seed == 5)
    results = transport.run(Dispatcher(transport, 3, 1000), order_of(JOBS[:30]))
    assert [result for result in results if result not in RESULTS] == [results[5]]
    assert (results[5].outcome, results[5].reason) == (Outcome.ENGINE_ERROR, ENDED_WORKERS)
    assert transport.deaths == 3


@pytest.mark.parametrize("seed", range(5))
def test_every_job_is_done_however_often_workers_die(seed: int) -> None:
    transport = SimulatedTransport(len, [0.0, 1.0, 5.0, 60.0], start_seconds=3, mean_life=40)
    transport.rng.seed(seed)
    results = transport.run(Dispatcher(transport, 4, 1000), order_of(JOBS))
    assert [result for result in results if result.outcome is Outcome.OK] == [
        RESULTS[index] for index, result in enumerate(results) if result.reason != ENDED_WORKERS
    ]
    assert transport.deaths > 0
    assert sum(result.reason == ENDED_WORKERS for result in results) <= 2


def test_a_worker_that_joins_late_takes_its_part() -> None:
    transport = SimulatedTransport(len, [0.0, 10.0])
    transport.run(Dispatcher(transport, 2, step_tokens=4), order_of(JOBS[:40]))
    assert transport.now < 30
    alone = SimulatedTransport(len, [0.0])
    alone.run(Dispatcher(alone, 1, step_tokens=4), order_of(JOBS[:40]))
    assert alone.now == 40


def test_orders_share_batches_and_end_one_by_one() -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 1, 1000)
    first, second = order_of(JOBS[:2]), order_of(JOBS[2:4])
    dispatcher.add(first)
    dispatcher.add(second)
    dispatcher.handle(Loaded(0, IDENTITY))
    dispatcher.handle(Finished(0, RESULTS[:4]))
    assert transport.batches == [(0, [0, 1, 2, 3])]
    assert (first.results(), second.results()) == (RESULTS[:2], RESULTS[2:4])


def test_what_a_worker_raises_ends_the_orders_of_its_batch_alone() -> None:
    transport, dispatcher, order = ready(2, JOBS[:2])
    other = order_of(JOBS[2:3])
    dispatcher.add(other)
    dispatcher.handle(Raised(0, ModelError("no such layer")))
    with pytest.raises(ModelError, match="no such layer"):
        order.results()
    assert transport.batches[-1] == (0, [2])
    dispatcher.handle(Finished(0, RESULTS[2:3]))
    assert other.results() == RESULTS[2:3]


def test_what_one_order_raises_in_a_batch_of_two_is_not_raised_by_the_other() -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 1, 1000)
    good, bad = order_of(JOBS[:1]), order_of(JOBS[1:2])
    dispatcher.add(good)
    dispatcher.add(bad)
    for event in (Loaded(0, IDENTITY), Raised(0, ModelError("b")), Finished(0, RESULTS[:1]), Raised(0, ModelError("b"))):
        dispatcher.handle(event)
    assert [batch for _, batch in transport.batches] == [[0, 1], [0], [1]]
    assert good.results() == RESULTS[:1]
    with pytest.raises(ModelError):
        bad.results()


def test_jobs_of_an_order_that_raised_are_not_sent_any_more() -> None:
    transport, dispatcher, _ = ready(1, JOBS)
    dispatcher.handle(Raised(0, ModelError("no such layer")))
    assert len(transport.batches) == 1


def test_a_worker_that_dies_idle_is_placed_again_and_gets_no_job_before() -> None:
    transport, dispatcher, order = ready(2, JOBS[:1])
    dispatcher.handle(Died(1, "killed"))
    dispatcher.add(order_of(JOBS[1:3]))
    assert (transport.batches, transport.placed) == ([(0, [0])], [0, 1, 1])
    for event in (Placed(1), Loaded(1, IDENTITY)):
        dispatcher.handle(event)
    assert transport.batches[1:] == [(1, [1])]
    assert not order.is_over


def test_the_largest_jobs_of_an_order_come_first() -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 2, 1000)
    dispatcher.add(Order(JOBS[:4], [Load(1, total) for total in (1, 5, 2, 4)]))
    dispatcher.handle(Loaded(0, IDENTITY))
    dispatcher.handle(Loaded(1, IDENTITY))
    assert transport.batches == [(0, [1]), (1, [3, 2])]


def test_a_withdrawn_order_is_not_sent() -> None:
    transport, dispatcher, order = ready(1, JOBS[:100])
    dispatcher.withdraw(order)
    dispatcher.handle(Finished(0, RESULTS[:MOST_JOBS]))
    assert len(transport.batches) == 1


def test_an_order_without_jobs_waits_for_the_first_worker() -> None:
    dispatcher, order = Dispatcher(Recording(), 2, 1000), Order((), ())
    dispatcher.add(order)
    assert not order.is_over
    dispatcher.handle(Loaded(1, IDENTITY))
    assert (order.results(), dispatcher.identity) == ([], IDENTITY)


def test_a_worker_with_another_model_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    transport = Recording()
    dispatcher = Dispatcher(transport, 2, 1000)
    dispatcher.handle(Loaded(0, IDENTITY))
    with caplog.at_level(logging.WARNING):
        dispatcher.handle(Loaded(1, {"model": "another"}))
    dispatcher.add(order_of(JOBS[:4]))
    assert (transport.ended, transport.batches) == ([1], [(0, [0, 1, 2, 3])])
    assert "another" in caplog.text


def test_an_error_on_loading_is_raised_once_no_worker_can_load() -> None:
    dispatcher, order = Dispatcher(Recording(), 2, 1000), order_of(JOBS[:2])
    dispatcher.add(order)
    dispatcher.handle(Raised(0, ModelError("no weights")))
    assert not order.is_over
    dispatcher.handle(Raised(1, ModelError("no weights")))
    with pytest.raises(ModelError, match="no weights"):
        order.results()
    assert dispatcher.is_lost


def test_a_worker_that_dies_three_times_before_it_answers_is_given_up() -> None:
    transport = Recording()
    dispatcher, order = Dispatcher(transport, 1, 1000), order_of(JOBS[:1])
    dispatcher.add(order)
    for _ in range(3):
        dispatcher.handle(Died(0, "killed by the system"))
    with pytest.raises(UpdateError, match="killed by the system"):
        order.results()
    assert (transport.placed, transport.ended) == ([0, 0, 0], [0])


def test_once_no_worker_is_left_open_jobs_are_infrastructure_failures() -> None:
    _, dispatcher, order = ready(2, JOBS[:2])
    dispatcher.handle(Finished(0, RESULTS[:1]))
    dispatcher.handle(Died(0, "gone", for_good=True))
    dispatcher.handle(Died(1, "gone", for_good=True))
    late = order_of(JOBS[:1])
    dispatcher.add(late)
    assert [result.reason for result in (*order.results(), *late.results())] == ["", NONE_LEFT, NONE_LEFT]
    assert order.results()[0] == RESULTS[0]
