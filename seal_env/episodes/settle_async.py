"""Settle on an event loop: episodes of many tasks end together, by the batches of one `AsyncInnerLoop`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from seal_env.episodes.continual import ContinualRuntime
from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.settle import BaseAnswerCache, Settlement, decide
from seal_env.errors import SettingError
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.types import Step


async def play_async(
    episodes: Sequence[Episode], actions: Sequence[Any], cache: BaseAnswerCache, engine: AsyncInnerLoop
) -> list[Step]:
    """`seal_env.episodes.settle.play` for an event loop, see `settle_async`."""
    _check(episodes, engine)
    return await settle_async(episodes, decide(episodes, actions), cache, engine)


async def settle_async(
    episodes: Sequence[Episode], decisions: Sequence[Step | PendingUpdate], cache: BaseAnswerCache, engine: AsyncInnerLoop
) -> list[Step]:
    """`seal_env.episodes.settle.settle` for an event loop: the same steps, by jobs that share batches with other callers'.

    Answers are scored in a thread of the engine, so that a grader which asks a server does not block the event loop. If this
    is cancelled, jobs that have not started are withdrawn; the same decisions can be settled again.

    Args:
        episodes: Of one runtime; usually one.
        decisions: What `Episode.decide` gave for each.
        cache: The base model's answers so far, to which new ones are added. Shared by all that share the runtime.
        engine: Around the runtime's inner loop.

    Raises:
        SettingError: The engine has another inner loop than the runtime, or the runtime's model keeps what it learns.
        RuntimeError: The engine is closed, or belongs to another event loop.
    """
    _check(episodes, engine)
    pending = Settlement(episodes, decisions, cache)
    try:
        results = await engine.submit_all(pending.jobs)
    except BaseException:
        pending.abandon()
        raise
    steps = await engine.in_thread(partial(pending.finish, results))
    pending.add_to(cache)
    return steps


def _check(episodes: Sequence[Episode], engine: AsyncInnerLoop) -> None:
    """Raise SettingError for episodes that the engine cannot serve: another model would be scored."""
    for runtime in {id(episode.runtime): episode.runtime for episode in episodes}.values():
        if isinstance(runtime, ContinualRuntime):
            legal = "the engine of a runtime without `sequence`: updates that build on each other cannot share a batch"
            raise SettingError("engine", engine, f"{legal}. Step SealContinualEnv, in a thread of its own")
        if engine.inner_loop is not runtime.inner_loop:
            raise SettingError("engine", engine, "AsyncInnerLoop(runtime.inner_loop), of the runtime of the episodes")
