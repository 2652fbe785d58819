"""Runtimes, each loaded once in a process, and the batches of their updates on each event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from seal_env.adapters.engine import EpisodeEngine, load_runtime
from seal_env.episodes.runtime import Runtime
from seal_env.forking import Lock
from seal_env.settings import Settings

_RUNTIMES: Final[dict[str, Runtime]] = {}
_LOADING: Final = Lock()
_ENGINES: Final[dict[asyncio.AbstractEventLoop, dict[tuple[Any, ...], EpisodeEngine]]] = {}
"""Until the event loop is closed; a weak key would not do, since an engine refers to its event loop."""


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
    for closed in [each for each in list(_ENGINES) if each.is_closed()]:
        _ENGINES.pop(closed, None)
    engines = _ENGINES.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps(dict(settings), sort_keys=True), window, batch, at_once
    if key not in engines:
        engines[key] = EpisodeEngine(runtime, window, batch, at_once)
    return engines[key]
