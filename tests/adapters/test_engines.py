"""Engines of verifiers' rollouts, which are shared on an event loop and end with it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from seal_env.adapters.engine import EpisodeEngine
from seal_env.adapters.verifiers import engines
from seal_env.episodes.runtime import Runtime
from seal_env.settings import Settings
from seal_env.types import UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

SETTINGS: dict[str, Any] = {"domain": "arc", "subset": "mini-train:1", "cache": "off"}


class IdleInnerLoop(FakeInnerLoop):
    """Is given no jobs."""

    def result(self, job: UpdateJob) -> UpdateResult:
        raise NotImplementedError


async def use() -> EpisodeEngine:
    engine = await engines.engine_of(SETTINGS, 0.1, 8, 1)
    assert engine is await engines.engine_of(SETTINGS, 0.1, 8, 1)
    await engine.batches.in_thread(lambda: None)
    return engine


def test_rollouts_of_an_event_loop_share_an_engine_that_is_forgotten_once_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = Runtime(Settings.resolve(**SETTINGS), IdleInnerLoop())
    monkeypatch.setitem(engines._RUNTIMES, json.dumps(SETTINGS, sort_keys=True), runtime)
    found = [asyncio.run(use()) for _ in range(3)]
    assert len(set(map(id, found))) == 3
    assert [each for kept in engines._ENGINES.values() for each in kept.values()] == found[-1:]
