"""The inner loop: real weight updates on a frozen base model, and the answers of the updated model.

Importing this package imports no torch; `make_inner_loop` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from threading import Lock

from seal_env.errors import SettingError
from seal_env.types import InnerLoop

INNER_LOOPS: Mapping[str, str] = {"reference": "seal_env.inner_loop.reference:ReferenceInnerLoop"}
_MAKING = Lock()


def resolve_device(device: str) -> str:
    """The device that `auto`, or any other name, stands for on this machine. Raises SettingError."""
    return str(import_module("seal_env.inner_loop.base_model").choose_device(device))


def make_inner_loop(name: str, model: str, device: str) -> InnerLoop:
    """The inner loop `name` on the base model `model`; one for all environments that ask for the same model and device.

    Raises SettingError for an unknown name or device and ModelError for a model that cannot be loaded.
    """
    if name not in INNER_LOOPS:
        raise SettingError("inner_loop", name, " or ".join(map(repr, INNER_LOOPS)))
    module, _, attribute = INNER_LOOPS[name].partition(":")
    with _MAKING:
        base = import_module("seal_env.inner_loop.base_model").load_base_model(model, device)
        if name not in base.inner_loops:
            base.inner_loops[name] = getattr(import_module(module), attribute)(base)
    inner_loop: InnerLoop = base.inner_loops[name]
    return inner_loop
