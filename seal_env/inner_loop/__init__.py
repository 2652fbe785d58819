"""The inner loop: real weight updates on a frozen base model, and the answers of the updated model.

Importing this package imports no torch; `make_inner_loop` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from threading import Lock
from typing import Any

from seal_env.errors import SettingError
from seal_env.inner_loop.cache.loop import LOCATION, CachedInnerLoop, cache_path, open_store
from seal_env.types import InnerLoop

INNER_LOOPS: Mapping[str, str] = {
    "batched": "seal_env.inner_loop.batched.loop:BatchedInnerLoop",
    "reference": "seal_env.inner_loop.reference.loop:ReferenceInnerLoop",
}
_MAKING = Lock()


def resolve_device(device: str) -> str:
    """The device that `auto`, or any other name, stands for on this machine. Raises SettingError."""
    return str(import_module("seal_env.inner_loop.model.frozen_lm").choose_device(device))


def make_inner_loop(
    name: str,
    model: str,
    device: str,
    cache: str = "off",
    cache_file: str | None = None,
    evaluator_url: str | None = None,
    evaluator_model: str | None = None,
) -> InnerLoop:
    """The inner loop `name` on the base model `model`; one for all environments that ask for the same.

    cache, cache_file: see `seal_env.settings.Settings`. evaluator_url: a vLLM server that answers in its place, never
    cached; None: it answers itself. evaluator_model: the server's name for the base model. Raises SettingError for an
    unknown name or device and ModelError for a model that cannot be loaded.
    """
    if name not in INNER_LOOPS:
        raise SettingError("inner_loop", name, " or ".join(map(repr, INNER_LOOPS)))
    module, _, attribute = INNER_LOOPS[name].partition(":")
    with _MAKING:
        base = import_module("seal_env.inner_loop.model.frozen_lm").load_base_model(model, device)
        if name not in base.inner_loops:
            base.inner_loops[name] = getattr(import_module(module), attribute)(base)
        inner_loop: InnerLoop = base.inner_loops[name]
        if evaluator_url is not None:
            return _served(inner_loop, base, name, evaluator_url, evaluator_model)
        return inner_loop if cache == "off" else _remembering(inner_loop, base, name, cache, cache_file)


def _served(inner_loop: InnerLoop, base: Any, name: str, url: str, model: str | None) -> InnerLoop:
    """`inner_loop` with a server that answers; one for each inner loop, server and name there."""
    key = f"{name}, answers of {model} at {url}"
    if key not in base.inner_loops:
        served = import_module("seal_env.inner_loop.served")
        base.inner_loops[key] = served.ServedEvaluation(inner_loop, base.encoder, served.answering_server(url), model)
    found: InnerLoop = base.inner_loops[key]
    return found


def _remembering(inner_loop: InnerLoop, base: Any, name: str, cache: str, cache_file: str | None) -> InnerLoop:
    """`inner_loop` with a cache; one for each inner loop and file."""
    path = cache_path(cache_file)
    if path is None and cache == "read":
        raise SettingError("cache", cache, f"'on' or 'off', unless cache_file or {LOCATION} says where to read")
    key = f"{name}, cache {cache}, {path}"
    if key not in base.inner_loops:
        keys = import_module("seal_env.inner_loop.cache.key").JobKeys(base, name)
        base.inner_loops[key] = CachedInnerLoop(inner_loop, keys.key, open_store(path, writable=cache == "on"))
    found: InnerLoop = base.inner_loops[key]
    return found
