"""Episodes of many sessions on one event loop, whose updates train together."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Self

from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.episodes.settle_async import settle_async
from seal_env.errors import SettingError
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.settings import Settings
from seal_env.types import Step

BASE_ANSWERS: Final = 10_000
"""Evaluations of the base model that are cached."""


def load_runtime(settings: Settings) -> Runtime:
    """A runtime for an engine, its model loaded. It takes seconds and must not be done on an event loop that serves.

    Raises:
        SettingError, UnknownTaskError, TaskError, ModelError: For what the settings name.
    """
    if settings.sequence > 1:
        raise SettingError("sequence", settings.sequence, "1: the updates of a sequence build on each other")
    runtime = Runtime(settings)
    runtime.load()
    return runtime


class EpisodeEngine:
    """A runtime, the batches of its updates and the base model's answers so far. Used from one event loop, as a context.

    Args:
        runtime: Shared by the episodes, its model loaded.
        window_seconds: How long the first update of a batch waits for others.
        most: Limit on the updates of a batch.
        at_once: Batches that run side by side; above 1 for an inner loop that spreads them over several workers.
    """

    def __init__(self, runtime: Runtime, window_seconds: float = 0.1, most: int = 32, at_once: int = 1) -> None:
        self.runtime = runtime
        self.batches = AsyncInnerLoop(runtime.inner_loop, window_seconds, most, at_once)
        self.base = BaseAnswerCache(BASE_ANSWERS)

    async def step(self, episode: Episode, action: Any) -> Step:
        """One action in an episode of the runtime: the same step as by `seal_env.episodes.settle.play`."""
        decision = await self.batches.in_thread(partial(episode.decide, action))
        return (await settle_async([episode], [decision], self.base, self.batches))[0]

    async def __aenter__(self) -> Self:
        await self.batches.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.batches.close(cancel_waiting=True)
