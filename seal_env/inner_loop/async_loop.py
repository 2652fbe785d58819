"""Batching of single jobs from asynchronous agents: jobs that arrive together train together.

Left out: priorities, and more than one inner loop. First come, first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, Self, TypeVar

from seal_env.errors import SettingError
from seal_env.types import InnerLoop, UpdateJob, UpdateResult

ResultT = TypeVar("ResultT")

CLOSED = "this AsyncInnerLoop is closed; submit jobs inside its `async with` block"
DROPPED = "this AsyncInnerLoop was closed before the job started"


class _Waiting(NamedTuple):
    job: UpdateJob
    until: float  # seconds on the event loop's clock


class AsyncInnerLoop:
    """An inner loop that takes single jobs from many tasks of one event loop.

        async with AsyncInnerLoop(inner_loop) as engine:
            results = await asyncio.gather(*(engine.submit(job) for job in jobs))

    The first job waits up to `window_seconds` for others, or until there are `most`; jobs that arrive while the inner loop
    is busy form the next batch. A batch is one call of `InnerLoop.run` in a thread of this object's own, so that tasks which
    fill asyncio's default threads do not block it. Leaving the `async with` block closes it, see `close`.

    Attributes:
        inner_loop: What runs the batches.
    """

    def __init__(
        self,
        inner_loop: InnerLoop,
        window_seconds: float = 0.05,
        most: int = 32,
        at_once: int = 1,
        max_waiting: int = 1024,
    ) -> None:
        """Wrap an inner loop. No thread is started yet.

        Args:
            inner_loop: What runs the batches.
            window_seconds: How long the first job of a batch waits for others.
            most: Limit on the jobs of a batch.
            at_once: Batches that run side by side, each in a thread; above 1 for an inner loop that spreads them over
                several workers.
            max_waiting: Jobs that may wait for a batch; `submit` waits until there is room for another.

        Raises:
            SettingError: A limit is out of range.
        """
        if not 0 <= window_seconds < float("inf"):
            raise SettingError("window_seconds", window_seconds, "a finite number, 0 or more")
        for name, limit in {"most": most, "at_once": at_once, "max_waiting": max_waiting}.items():
            if limit < 1:
                raise SettingError(name, limit, "at least 1")
        self.inner_loop = inner_loop
        self._window, self._most = window_seconds, min(most, max_waiting)
        self._waiting: dict[asyncio.Future[UpdateResult], _Waiting] = {}
        self._room, self._free = asyncio.Semaphore(max_waiting), asyncio.Semaphore(at_once)
        self._hurry = asyncio.Event()  # enough are waiting, or no more will come
        self._server: asyncio.Task[None] | None = None
        self._batches: set[asyncio.Task[None]] = set()
        self._submitting, self._idle = 0, asyncio.Event()
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._closed = self._dropped = False
        self._threads = ThreadPoolExecutor(at_once, "seal-inner-loop")
        self._other_thread = ThreadPoolExecutor(1, "seal-scoring")

    async def submit(self, job: UpdateJob) -> UpdateResult:
        """The result of a job. Cancelling withdraws the job if it still waits, and never affects other jobs.

        What `InnerLoop.run` raises is raised for every job of the batch.

        Raises:
            RuntimeError: The loop is closed, or the first job came from another event loop.
        """
        running = self._own_event_loop()
        if self._closed:
            raise RuntimeError(CLOSED)
        self._submitting += 1
        try:
            await self._room.acquire()
            return await self._answer(job, running)
        finally:
            self._submitting -= 1
            if not self._submitting:
                self._idle.set()

    def _own_event_loop(self) -> asyncio.AbstractEventLoop:
        running = asyncio.get_running_loop()
        self._event_loop = self._event_loop or running
        if running is not self._event_loop:
            raise RuntimeError("this AsyncInnerLoop belongs to another event loop; make one for each event loop")
        return running

    async def _answer(self, job: UpdateJob, running: asyncio.AbstractEventLoop) -> UpdateResult:
        """The result of a job for which there is room."""
        future: asyncio.Future[UpdateResult] = running.create_future()
        self._waiting[future] = _Waiting(job, running.time() + self._window)
        try:
            if self._dropped:
                raise RuntimeError(DROPPED)
            if len(self._waiting) >= self._most:
                self._hurry.set()
            if self._server is None or self._server.done():
                self._server = running.create_task(self._serve())
            return await future
        finally:
            self._take(future)

    def _take(self, future: asyncio.Future[UpdateResult]) -> UpdateJob | None:
        """A job that no longer waits, which makes room for another; None if it had been taken before."""
        waiting = self._waiting.pop(future, None)
        if waiting is None:
            return None
        self._room.release()
        return waiting.job

    async def submit_all(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """The results of several jobs, in their order. Cancelling withdraws them all, and so does the first error.

        Raises:
            RuntimeError: See `submit`.
        """
        tasks = [asyncio.ensure_future(self.submit(job)) for job in jobs]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        """What a function returns that takes time, such as a grader; one at a time, in a thread of this object's own."""
        return await self._own_event_loop().run_in_executor(self._other_thread, function)

    async def _serve(self) -> None:
        """Start batch after batch while jobs wait."""
        try:
            while self._waiting:
                if len(self._waiting) < self._most and not self._closed:
                    self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next(iter(self._waiting.values())).until):
                        await self._hurry.wait()
                await self._free.acquire()
                taken = {future: self._take(future) for future in list(self._waiting)[: self._most]}
                batch = {future: job for future, job in taken.items() if job is not None and not future.done()}
                task = asyncio.create_task(self._run(batch))
                self._batches.add(task)
                task.add_done_callback(self._batch_is_over)
        finally:
            self._drop_waiting()  # none are left unless this task was cancelled

    def _batch_is_over(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._free.release()

    async def _run(self, batch: dict[asyncio.Future[UpdateResult], UpdateJob]) -> None:
        """One call of the inner loop, unless all jobs were withdrawn; those that wait for it get a result, or the error."""
        if not batch:
            return
        error: BaseException = RuntimeError("this AsyncInnerLoop was stopped while the job ran")
        try:
            call = asyncio.get_running_loop().run_in_executor(self._threads, self._call, list(batch.values()))
            for future, result in zip(batch, await call, strict=True):
                if not future.done():
                    future.set_result(result)
        except Exception as raised:
            error = raised
        finally:
            for future in batch:
                if not future.done():
                    future.set_exception(error)

    def _call(self, jobs: list[UpdateJob]) -> list[UpdateResult]:
        """One call of the inner loop. Raises ValueError unless it gives each job a result: they would go astray."""
        try:
            results = self.inner_loop.run(jobs)
        except StopIteration as error:  # which no future can hold
            raise RuntimeError("the inner loop raised StopIteration") from error
        if len(results) != len(jobs):
            raise ValueError(f"the inner loop gave {len(results)} results for {len(jobs)} jobs")
        return results

    def _drop_waiting(self) -> None:
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(RuntimeError(DROPPED))
            self._take(future)

    async def close(self, cancel_waiting: bool = False) -> None:
        """Accept no more jobs and wait for those submitted so far. If that is cancelled, jobs that wait raise RuntimeError.

        Args:
            cancel_waiting: Jobs that have not started raise RuntimeError instead of being run. A batch that runs is always
                waited for, since a thread cannot be interrupted.
        """
        self._own_event_loop()
        self._closed = True
        self._hurry.set()
        try:
            while self._submitting and not cancel_waiting:
                self._idle.clear()
                await self._idle.wait()
        finally:
            self._dropped = True
            self._drop_waiting()
        while running := {*self._batches, *([] if self._server is None or self._server.done() else [self._server])}:
            await asyncio.wait(running)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        self._own_event_loop()
        return self

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        await self.close(cancel_waiting=error is not None)
