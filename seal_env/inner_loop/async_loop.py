"""Batching of single jobs from asynchronous agents: jobs that arrive together train together.

Left out: priorities, and more than one inner loop. First come, first served, one batch at a time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple, Self

from seal_env.errors import SettingError
from seal_env.types import InnerLoop, UpdateJob, UpdateResult


class _Waiting(NamedTuple):
    job: UpdateJob
    until: float  # seconds on the event loop's clock


class AsyncInnerLoop:
    """An inner loop that takes single jobs from many tasks of one event loop.

        async with AsyncInnerLoop(inner_loop) as batcher:
            results = await asyncio.gather(*(batcher.submit(job) for job in jobs))

    The first job waits up to `window_seconds` for others, or until there are `most`; jobs that arrive while the inner loop
    is busy form the next batch. A batch is one call of `InnerLoop.run` in a thread. Leaving the `async with` block, or
    `close`, waits for the jobs submitted so far.
    """

    def __init__(self, inner_loop: InnerLoop, window_seconds: float = 0.05, most: int = 32) -> None:
        """Wrap an inner loop.

        Args:
            inner_loop: What runs the batches.
            window_seconds: How long the first job of a batch waits for others.
            most: Limit on the jobs of a batch.

        Raises:
            SettingError: A limit is out of range.
        """
        if not 0 <= window_seconds < float("inf"):
            raise SettingError("window_seconds", window_seconds, "a finite number, 0 or more")
        if most < 1:
            raise SettingError("most", most, "at least 1")
        self._inner_loop, self._window, self._most = inner_loop, window_seconds, most
        self._waiting: dict[asyncio.Future[UpdateResult], _Waiting] = {}
        self._hurry = asyncio.Event()  # enough are waiting, or no more will come
        self._server: asyncio.Task[None] | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def submit(self, job: UpdateJob) -> UpdateResult:
        """The result of a job. Cancelling withdraws the job if it still waits, and never affects other jobs.

        What `InnerLoop.run` raises is raised for every job of the batch.

        Raises:
            RuntimeError: The loop is closed, or the first job came from another event loop.
        """
        running = asyncio.get_running_loop()
        self._event_loop = self._event_loop or running
        if running is not self._event_loop:
            raise RuntimeError("this AsyncInnerLoop belongs to another event loop; make one for each event loop")
        if self._closed:
            raise RuntimeError("this AsyncInnerLoop is closed; submit jobs inside its `async with` block")
        future: asyncio.Future[UpdateResult] = running.create_future()
        self._waiting[future] = _Waiting(job, running.time() + self._window)
        if len(self._waiting) >= self._most:
            self._hurry.set()
        if self._server is None or self._server.done():
            self._server = running.create_task(self._serve())
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def _serve(self) -> None:
        """Run batch after batch while jobs wait."""
        try:
            while self._waiting:
                if len(self._waiting) < self._most and not self._closed:
                    self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next(iter(self._waiting.values())).until):
                        await self._hurry.wait()
                taken = {future: self._waiting.pop(future) for future in list(self._waiting)[: self._most]}
                await self._run({future: waiting.job for future, waiting in taken.items() if not future.cancelled()})
        finally:
            for future in self._waiting:
                future.cancel()  # none are left unless this task was cancelled

    async def _run(self, batch: dict[asyncio.Future[UpdateResult], UpdateJob]) -> None:
        """One call of the inner loop, unless all jobs were withdrawn; those that wait for it get a result, or the error."""
        if not batch:
            return
        try:
            results = await asyncio.to_thread(self._inner_loop.run, list(batch.values()))
            for future, result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except Exception as error:
            for future in batch:
                if not future.done():
                    future.set_exception(error)
        finally:
            for future in batch:
                future.cancel()  # all are done unless this task was cancelled

    async def close(self) -> None:
        """Accept no more jobs and wait for those submitted so far."""
        self._closed = True
        self._hurry.set()
        if self._server is not None:
            await self._server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
