"""The inner loop: real weight updates on a frozen base model.

Update jobs come in; update results, with the answers of the updated models, go out. This is the only room that needs torch,
and importing it imports none: `make_inner_loop` does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seal_env.errors import SettingError
from seal_env.forking import Lock
from seal_env.inner_loop.cache.loop import CachedInnerLoop
from seal_env.inner_loop.cache.results import open_store
from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments
from seal_env.inner_loop.workers.options import DETERMINISTIC, EVERY_GPU, WorkerModel, WorkerPlan
from seal_env.inner_loop.workers.remote import REMOTE_INNER_LOOPS, make_remote, place
from seal_env.store import LOCATION, cache_path
from seal_env.types import InnerLoop

if TYPE_CHECKING:
    from seal_env.inner_loop.model.frozen_lm import FrozenLM

    InnerLoopFactory = Callable[[FrozenLM], InnerLoop]

_MAKING = Lock()


def _batched(base: FrozenLM) -> InnerLoop:
    from seal_env.inner_loop.batched.loop import BatchedInnerLoop

    return BatchedInnerLoop(base)


def _reference(base: FrozenLM) -> InnerLoop:
    from seal_env.inner_loop.reference.loop import ReferenceInnerLoop

    return ReferenceInnerLoop(base)


INNER_LOOPS: dict[str, InnerLoopFactory] = {"batched": _batched, "reference": _reference}


def register_inner_loop(name: str, factory: InnerLoopFactory) -> None:
    """Make an inner loop available as the setting `inner_loop`.

    Args:
        name: What the setting calls it. Results are cached by this name.
        factory: Makes an inner loop on a base model, which it must leave bit for bit as it is.

    Raises:
        SettingError: The name is taken by another inner loop.
    """
    if name in REMOTE_INNER_LOOPS or INNER_LOOPS.setdefault(name, factory) != factory:
        raise SettingError("inner_loop", name, "a name that is not taken")


def inner_loop_on(base: FrozenLM, name: str, deterministic: bool = False) -> InnerLoop:
    """The inner loop `name` on a loaded model, made once per model.

    Args:
        base: The model.
        name: A registered inner loop.
        deterministic: See `seal_env.settings.Settings`.

    Raises:
        SettingError: There is no inner loop of this name.
        ModelError: The inner loop cannot run the model.
    """
    if name not in INNER_LOOPS:
        raise SettingError("inner_loop", name, " or ".join(map(repr, INNER_LOOPS)))
    inner_loop = _once(base, name, lambda: INNER_LOOPS[name](base))
    if not deterministic:
        return inner_loop
    from seal_env.inner_loop.deterministic import DeterministicInnerLoop

    return _once(base, name + DETERMINISTIC, lambda: DeterministicInnerLoop(inner_loop))


def resolve_device(device: str, inner_loop: str = "batched") -> str:
    """The device that a name, such as `auto`, stands for on this machine.

    Args:
        device: The name.
        inner_loop: What uses it. Where its model is in other processes, they find out, and the name stays as it is.

    Raises:
        SettingError: There is no such device.
    """
    from seal_env.inner_loop.model.devices import choose_device

    if inner_loop in REMOTE_INNER_LOOPS:
        return device
    if device == EVERY_GPU:
        place(inner_loop, device, WorkerPlan())
        return device
    return str(choose_device(device))


def release_memory() -> None:
    """Release memory that is no longer referenced, on devices too."""
    from seal_env.inner_loop.model.memory import release_memory as release

    release()


def unload_models() -> None:
    """Release the memory of every model that no environment and no inner loop in use refers to.

    An environment that is closed unloads its model already, if it is the last one with it; this is for models that were
    loaded without one, or by environments that were never closed. A bundled model is reloaded when it is next needed.
    """
    from seal_env.inner_loop.model.frozen_lm import unload_models as unload

    unload()


def make_inner_loop(
    name: str,
    model: str,
    device: str,
    cache: str = "off",
    cache_file: str | None = None,
    evaluator_url: str | None = None,
    evaluator_model: str | None = None,
    template: TemplateArguments = DEFAULT,
    deterministic: bool = False,
    workers: WorkerPlan = WorkerPlan(),  # noqa: B008 (frozen)
    dtype: str = "auto",
    revision: str | None = None,
) -> InnerLoop:
    """An inner loop on a base model.

    Equal arguments give the same object, so that environments share one model, as long as the model's files are the same.

    Args:
        name: A registered inner loop.
        model: A bundled model, a Hugging Face id or a local directory.
        device: auto, cpu, cuda, cuda:N, cuda:all or mps.
        cache: See `seal_env.settings.Settings`.
        cache_file: See `seal_env.settings.Settings`.
        evaluator_url: Address of a vLLM server that answers the queries, which are then not cached; None answers locally.
        evaluator_model: The server's name for the base model.
        template: What the model's chat template is given beside messages.
        deterministic: See `seal_env.settings.Settings`.
        workers: Settings of the inner loop `ray`, and of the device `cuda:all`.
        dtype: Number type of the weights: auto, float32 or bfloat16.
        revision: Branch, tag or commit of a Hugging Face id.

    Raises:
        SettingError: The inner loop, the device or the number type is unknown, or a setting contradicts another.
        ModelError: The model cannot be loaded.
        MissingExtraError: Ray is needed and not installed.
    """
    if name not in INNER_LOOPS.keys() | REMOTE_INNER_LOOPS.keys():
        raise SettingError("inner_loop", name, " or ".join(map(repr, (*INNER_LOOPS, *REMOTE_INNER_LOOPS))))
    device, remote, workers = place(name, device, workers)
    store = None if cache == "off" else (_store_path(cache, cache_file), cache == "on")
    if remote:
        if evaluator_url is not None:
            raise SettingError("evaluator", "vllm", f"'local' where inner_loop={remote!r}")
        kind = name if name in INNER_LOOPS else "batched"
        inside = WorkerModel(kind, model, device, template, deterministic, dtype, revision)
        return make_remote(remote, inside, workers, store)
    from seal_env.inner_loop.model.frozen_lm import load_base_model

    with _MAKING.held():
        base = load_base_model(model, device, template, dtype, revision)
        inner_loop = inner_loop_on(base, name, deterministic)
        name += DETERMINISTIC if deterministic else ""
        if evaluator_url is not None:
            return _served(inner_loop, base, name, evaluator_url, evaluator_model)
        return inner_loop if store is None else _cached(inner_loop, base, name, *store)


def _served(inner_loop: InnerLoop, base: FrozenLM, name: str, url: str, model: str | None) -> InnerLoop:
    """`inner_loop` with a server that answers; one for each inner loop, server and name there."""
    from seal_env.inner_loop.served import ServedEvaluation, evaluation_server

    key = f"{name}, answers of {model} at {url}"
    return _once(base, key, lambda: ServedEvaluation(inner_loop, base.encoder, evaluation_server(url), model))


def _store_path(cache: str, cache_file: str | None) -> Path | None:
    """The file of a cache; None is the memory of this process."""
    path = cache_path(cache_file)
    if path is None and cache == "read":
        raise SettingError("cache", cache, f"'on' or 'off', unless cache_file or {LOCATION} says where to read")
    return path


def _cached(inner_loop: InnerLoop, base: FrozenLM, name: str, path: Path | None, writable: bool) -> InnerLoop:
    """`inner_loop` with a cache; one for each inner loop and file."""
    from seal_env.inner_loop.cache.key import JobKeys

    def make() -> InnerLoop:
        return CachedInnerLoop(inner_loop, JobKeys.of(base, name).key, open_store(path, writable))

    return _once(base, f"{name}, writable {writable}, {path}", make)


def _once(base: FrozenLM, key: str, make: Callable[[], InnerLoop]) -> InnerLoop:
    with _MAKING.held():
        if key not in base.inner_loops:
            base.inner_loops[key] = make()
        return base.inner_loops[key]
