"""Runtimes, each loaded once in a process, and the batches of their updates on each event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from seal_env.adapters.engine import EpisodeEngine, load_runtime
from seal_env.episodes.runtime import Runtime
from seal_env.forking import Lock
from seal_env.settings import Settings

_RUNTIMES: Final[dict[str, Runtime]] = {}
_LOADING: Final = Lock()
_ENGINES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], EpisodeEngine]]] = WeakKeyDictionary()


def runtime_of(settings: Mapping[str, Any]) -> Runtime:
    """The runtime with these settings, its model loaded. Equal settings give the same one. It takes seconds at first.

    Raises:
        SettingError, UnknownTaskError, TaskError, ModelError: For what the settings name.
    """
    key = json.dumps(dict(settings), sort_keys=True)
    with _LOADING.held():
        if key not in _RUNTIMES:
            _RUNTIMES[key] = load_runtime(Settings.resolve(**settings))
        return _RUNTIMES[key]


async def engine_of(settings: Mapping[str, Any], window: float, batch: int, at_once: int) -> EpisodeEngine:
    """The engine on this event loop, which all rollouts share; the model is loaded in a thread. Raises as `runtime_of`."""
    runtime = await asyncio.to_thread(runtime_of, settings)
    engines = _ENGINES.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps(dict(settings), sort_keys=True), window, batch, at_once
    if key not in engines:
        engines[key] = EpisodeEngine(runtime, window, batch, at_once)
    return engines[key]
