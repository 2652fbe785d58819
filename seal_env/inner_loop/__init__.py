"""The inner loop: real weight updates on a frozen base model, and the answers of the updated model.

Importing this package imports no torch; `make_inner_loop` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from threading import Lock
from typing import Any

from seal_env.errors import SettingError
from seal_env.inner_loop.cache import LOCATION, CachedInnerLoop, cache_path, open_store
from seal_env.types import InnerLoop

INNER_LOOPS: Mapping[str, str] = {
    "batched": "seal_env.inner_loop.batched:BatchedInnerLoop",
    "reference": "seal_env.inner_loop.reference:ReferenceInnerLoop",
}
_MAKING = Lock()


def resolve_device(device: str) -> str:
    """The device that `auto`, or any other name, stands for on this machine. Raises SettingError."""
    return str(import_module("seal_env.inner_loop.base_model").choose_device(device))


def make_inner_loop(name: str, model: str, device: str, cache: str = "off", cache_file: str | None = None) -> InnerLoop:
    """The inner loop `name` on the base model `model`; one for all environments that ask for the same.

    cache, cache_file: see `seal_env.settings.Settings`. Raises SettingError for an unknown name or device and ModelError for
    a model that cannot be loaded.
    """
    if name not in INNER_LOOPS:
        raise SettingError("inner_loop", name, " or ".join(map(repr, INNER_LOOPS)))
    module, _, attribute = INNER_LOOPS[name].partition(":")
    with _MAKING:
        base = import_module("seal_env.inner_loop.base_model").load_base_model(model, device)
        if name not in base.inner_loops:
            base.inner_loops[name] = getattr(import_module(module), attribute)(base)
        inner_loop: InnerLoop = base.inner_loops[name]
        return inner_loop if cache == "off" else _remembering(inner_loop, base, name, cache, cache_file)


def _remembering(inner_loop: InnerLoop, base: Any, name: str, cache: str, cache_file: str | None) -> InnerLoop:
    """`inner_loop` with a cache; one for each inner loop and file."""
    path = cache_path(cache_file)
    if path is None and cache == "read":
        raise SettingError("cache", cache, f"'on' or 'off', unless cache_file or {LOCATION} says where to read")
    key = f"{name}, cache {cache}, {path}"
    if key not in base.inner_loops:
        keys = import_module("seal_env.inner_loop.job_key").JobKeys(base, name)
        base.inner_loops[key] = CachedInnerLoop(inner_loop, keys.key, open_store(path, writable=cache == "on"))
    found: InnerLoop = base.inner_loops[key]
    return found
