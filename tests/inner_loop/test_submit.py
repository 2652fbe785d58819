"""AsyncInnerLoop: which jobs share a batch, and who gets which result. No test depends on how long anything takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from seal_env.errors import SettingError
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.types import LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob, UpdateResult

LONG = 3600.0
"""A window that no test waits for."""


class RecordingInnerLoop:
    """Notes the seeds of each batch; a result tells its job's seed. Where `gate` is shut, `run` waits in it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fails: BaseException | None = None
        self.loses = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.inside, self.at_once = 0, 1

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        self.inside += 1
        assert self.inside <= self.at_once
        assert threading.current_thread() is not threading.main_thread()
        self.batches.append([job.seed for job in jobs])
        self.entered.release()
        assert self.gate.wait(60)
        self.inside -= 1
        if self.fails:
            raise self.fails
        return [UpdateResult(Outcome.OK, str(job.seed), ()) for job in jobs][self.loses :]

    async def has_begun(self) -> None:
        """Wait until a further batch is in `run`."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=60)

    def count_tokens(self, examples: Sequence[Any]) -> list[int]:
        raise NotImplementedError

    def max_tokens(self, recipe: Recipe) -> int:
        raise NotImplementedError


@pytest.fixture
def loop() -> RecordingInnerLoop:
    return RecordingInnerLoop()


def job(seed: int) -> UpdateJob:
    return UpdateJob((), TrainingConfig(), LoraSpec(), Recipe(), seed, ())


async def submitted(engine: AsyncInnerLoop, *seeds: int) -> list[asyncio.Task[UpdateResult]]:
    """Tasks that have come as far as to wait."""
    tasks = [asyncio.create_task(engine.submit(job(seed))) for seed in seeds]
    await asyncio.sleep(0)
    return tasks


async def answers(tasks: Sequence[asyncio.Task[UpdateResult]]) -> list[str]:
    return [result.reason for result in await asyncio.gather(*tasks)]


async def test_jobs_that_come_together_share_a_batch(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        assert await answers(await submitted(engine, 3, 1, 2)) == ["3", "1", "2"]
    assert loop.batches == [[3, 1, 2]]


async def test_job_alone_goes_when_its_window_has_passed(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop) as engine:
        assert (await engine.submit(job(7))).reason == "7"
        assert (await engine.submit(job(8))).reason == "8"
    assert loop.batches == [[7], [8]]


async def test_full_batch_does_not_wait_for_the_window(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG, most=2) as engine:
        assert await answers(await submitted(engine, 0, 1, 2, 3)) == ["0", "1", "2", "3"]
    assert loop.batches == [[0, 1], [2, 3]]


async def test_jobs_wait_for_the_window(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG, most=2) as engine:
        for first in (0, 2):  # the second time after a batch that was full
            tasks = await submitted(engine, first)
            for _ in range(20):
                await asyncio.sleep(0)
            tasks += await submitted(engine, first + 1)
            await answers(tasks)
    assert loop.batches == [[0, 1], [2, 3]]


async def test_jobs_that_come_while_it_is_busy_share_the_next_batch(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        tasks = await submitted(engine, 0)
        await loop.has_begun()
        tasks += await submitted(engine, 1)
        tasks += await submitted(engine, 2)
        loop.gate.set()
        assert await answers(tasks) == ["0", "1", "2"]
    assert loop.batches == [[0], [1, 2]]


async def test_no_batch_is_larger_than_most(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=0, most=3) as engine:
        await answers(await submitted(engine, *range(8)))
    assert [len(batch) for batch in loop.batches] == [3, 3, 2]


async def test_job_that_is_cancelled_while_it_waits_is_not_run(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG, most=3) as engine:
        first, second = await submitted(engine, 0, 1)
        first.cancel()
        tasks = [second, *await submitted(engine, 2, 3)]
        assert await answers(tasks) == ["1", "2", "3"]
    assert loop.batches == [[1, 2, 3]]
    assert first.cancelled()


async def test_job_that_is_cancelled_while_it_trains_leaves_the_others_unharmed(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        first, *others = await submitted(engine, 0, 1, 2)
        await loop.has_begun()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        loop.gate.set()
        assert await answers(others) == ["1", "2"]


async def test_batch_that_all_have_left_is_not_run(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG) as engine:
        (task,) = await submitted(engine, 0)
        task.cancel()
        await asyncio.wait([task])
    assert loop.batches == []


async def test_closing_as_the_last_one_leaves_ends(loop: RecordingInnerLoop) -> None:
    engine = AsyncInnerLoop(loop, window_seconds=LONG)
    (task,) = await submitted(engine, 0)
    task.cancel()
    await engine.close()
    assert loop.batches == []


async def test_error_reaches_every_job_of_its_batch_and_no_other(loop: RecordingInnerLoop) -> None:
    loop.fails = ZeroDivisionError("a bug")
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        outcomes = await asyncio.gather(*await submitted(engine, 0, 1), return_exceptions=True)
        loop.fails = None
        assert (await engine.submit(job(2))).reason == "2"
    assert [str(outcome) for outcome in outcomes] == ["a bug"] * 2
    assert all(isinstance(outcome, ZeroDivisionError) for outcome in outcomes)


async def test_inner_loop_that_gives_too_few_results_leaves_nobody_waiting(loop: RecordingInnerLoop) -> None:
    loop.loses = 1
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        outcomes = await asyncio.gather(*await submitted(engine, 0, 1), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the inner loop gave 1 results for 2 jobs"] * 2


async def test_leaving_the_block_finishes_what_was_submitted(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG, most=2) as engine:
        tasks = await submitted(engine, 0, 1, 2)
    assert loop.batches == [[0, 1], [2]]
    assert await answers(tasks) == ["0", "1", "2"]


async def test_closing_that_is_itself_cancelled_leaves_nobody_waiting(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    engine = AsyncInnerLoop(loop, window_seconds=0, most=1)
    tasks = await submitted(engine, 0, 1)
    await loop.has_begun()
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(RuntimeError, match="closed before the job started"):
        await tasks[1]
    loop.gate.set()
    assert (await tasks[0]).reason == "0"
    assert loop.batches == [[0]]


async def test_error_in_the_block_drops_what_waits_and_finishes_what_runs(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    with suppress(ZeroDivisionError):
        async with AsyncInnerLoop(loop, window_seconds=0, most=1, max_waiting=1) as engine:
            tasks = await submitted(engine, 0, 1, 2, 3)  # two of which wait for room
            await loop.has_begun()
            loop.gate.set()
            raise ZeroDivisionError
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert getattr(outcomes[0], "reason", None) == "0"
    assert [str(outcome) for outcome in outcomes[1:]] == ["this AsyncInnerLoop was closed before the job started"] * 3
    assert loop.batches == [[0]]


async def test_stopped_server_leaves_nobody_waiting(loop: RecordingInnerLoop) -> None:
    engine = AsyncInnerLoop(loop, window_seconds=LONG)
    tasks = await submitted(engine, 0, 1)
    await asyncio.sleep(0)
    assert engine._server is not None
    engine._server.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 2


async def test_waiters_that_fill_the_default_threads_do_not_block_it(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        here = asyncio.get_running_loop()

        def blocking(seed: int) -> str:
            return asyncio.run_coroutine_threadsafe(engine.submit(job(seed)), here).result(60).reason

        assert await asyncio.gather(*(asyncio.to_thread(blocking, seed) for seed in range(40))) == list(map(str, range(40)))


async def test_batches_run_side_by_side_as_far_as_that_is_wanted(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    loop.at_once = 2
    async with AsyncInnerLoop(loop, window_seconds=0, most=1, at_once=2) as engine:
        tasks = await submitted(engine, 0, 1, 2)
        await loop.has_begun()
        await loop.has_begun()
        assert sorted(loop.batches) == [[0], [1]]
        loop.gate.set()
        assert await answers(tasks) == ["0", "1", "2"]


async def test_error_in_one_of_two_batches_leaves_the_other_unharmed(loop: RecordingInnerLoop) -> None:
    class Half(RecordingInnerLoop):
        def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
            return [UpdateResult(Outcome.OK, str(1 // job.seed), ()) for job in jobs]

    async with AsyncInnerLoop(Half(), window_seconds=0, most=2, at_once=2) as engine:
        outcomes = await asyncio.gather(*await submitted(engine, 0, 1, 1, 1), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 2 + [UpdateResult] * 2


async def test_submit_waits_for_room(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop, window_seconds=LONG, most=9, max_waiting=2) as engine:
        tasks = await submitted(engine, 0, 1, 2, 3)
        assert await answers(tasks) == ["0", "1", "2", "3"]
    assert loop.batches == [[0, 1], [2, 3]]


async def test_job_that_is_cancelled_makes_room(loop: RecordingInnerLoop) -> None:
    loop.gate.clear()
    async with AsyncInnerLoop(loop, window_seconds=0, most=1, max_waiting=1) as engine:
        first, waits, without_room, last = await submitted(engine, 0, 1, 2, 3)
        await loop.has_begun()
        waits.cancel()
        without_room.cancel()
        await asyncio.wait([waits, without_room])
        loop.gate.set()
        assert await answers([first, last]) == ["0", "3"]
    assert loop.batches == [[0], [3]]


async def test_first_error_withdraws_what_was_submitted_with_it(loop: RecordingInnerLoop) -> None:
    loop.fails = ZeroDivisionError("a bug")
    async with AsyncInnerLoop(loop, window_seconds=0, most=1) as engine:
        with pytest.raises(ZeroDivisionError):
            await engine.submit_all([job(seed) for seed in range(3)])
        await asyncio.sleep(0)
        loop.fails = None
        assert [result.reason for result in await engine.submit_all([job(7), job(8)])] == ["7", "8"]
        assert await engine.submit_all([]) == []
    assert loop.batches[-2:] == [[7], [8]]
    assert [2] not in loop.batches


async def test_error_that_no_future_can_hold_reaches_the_waiter_all_the_same(loop: RecordingInnerLoop) -> None:
    loop.fails = StopIteration()
    async with AsyncInnerLoop(loop, window_seconds=0) as engine:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await engine.submit(job(0))


async def test_closed_takes_no_more_jobs(loop: RecordingInnerLoop) -> None:
    async with AsyncInnerLoop(loop) as engine:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await engine.submit(job(0))


def test_another_event_loop_is_refused(loop: RecordingInnerLoop) -> None:
    engine = AsyncInnerLoop(loop, window_seconds=0)
    assert asyncio.run(engine.submit(job(0))).reason == "0"
    for use in (engine.submit(job(1)), engine.close(), engine.__aenter__(), engine.in_thread(int)):
        with pytest.raises(RuntimeError, match="one for each event loop"):
            asyncio.run(use)


@pytest.mark.parametrize(
    "setting", [{"window_seconds": -1.0}, {"window_seconds": float("nan")}, {"most": 0}, {"at_once": 0}, {"max_waiting": 0}]
)
def test_settings_that_make_no_sense_are_named(loop: RecordingInnerLoop, setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(setting))):
        AsyncInnerLoop(loop, **setting)
