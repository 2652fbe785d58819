"""Inner loops whose model this process does not load, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seal_env.errors import SettingError
from seal_env.forking import Lock
from seal_env.inner_loop.cache.loop import CachedInnerLoop
from seal_env.inner_loop.cache.results import open_store
from seal_env.inner_loop.workers.events import Identity
from seal_env.inner_loop.workers.options import EVERY_GPU, RAY, WorkerModel, WorkerPlan
from seal_env.types import InnerLoop

if TYPE_CHECKING:
    from seal_env.inner_loop.tokens.token_cache import JobEncoder


class RemoteInnerLoop(InnerLoop, Protocol):
    """An inner loop that has its jobs run in other processes."""

    @property
    def encoder(self) -> JobEncoder:
        """Encodes examples and queries as they are encoded there."""
        ...

    def identity(self) -> Identity:
        """What decides the results beside the job, as they say there; waits for them."""
        ...


RemoteFactory = Callable[[WorkerModel, WorkerPlan], RemoteInnerLoop]


def _ray(model: WorkerModel, plan: WorkerPlan) -> RemoteInnerLoop:
    from seal_env.inner_loop.workers.loop import make_ray_inner_loop

    return make_ray_inner_loop(model, plan)


REMOTE_INNER_LOOPS: dict[str, RemoteFactory] = {RAY: _ray}
"""What makes them. In each process there the inner loop `batched` runs, unless the setting `inner_loop` names another."""
_MADE: dict[tuple[object, ...], InnerLoop] = {}
_MAKING = Lock()


def register_remote_inner_loop(name: str, factory: RemoteFactory) -> None:
    """Make an inner loop available as the setting `inner_loop` for which no model is loaded here.

    Args:
        name: What the setting calls it.
        factory: Makes it, given what it trains and the settings of workers.

    Raises:
        SettingError: The name is taken by another inner loop.
    """
    if REMOTE_INNER_LOOPS.setdefault(name, factory) != factory:
        raise SettingError("inner_loop", name, "a name that is not taken")


def place(name: str, device: str, plan: WorkerPlan) -> tuple[str, str, WorkerPlan]:
    """What `cuda:all` stands for on this machine: one worker for each GPU, or the only one without any.

    Args:
        name: An inner loop.
        device: A device.
        plan: Settings of workers.

    Returns:
        (device, the remote inner loop or an empty text, settings of workers).

    Raises:
        SettingError: There is no GPU, or a setting contradicts another.
    """
    plan.check(name in REMOTE_INNER_LOOPS, device)
    remote = name if name in REMOTE_INNER_LOOPS else ""
    if device != EVERY_GPU:
        return device, remote, plan
    count = plan.count or _gpus()
    return "cuda", remote or (RAY if count > 1 else ""), WorkerPlan(count, plan.address, plan.options)


def make_remote(remote: str, model: WorkerModel, plan: WorkerPlan, store: tuple[Path | None, bool] | None) -> InnerLoop:
    """A remote inner loop, made once for equal arguments as long as the model's files are the same.

    Args:
        remote: Its name.
        model: What it trains.
        plan: Settings of workers.
        store: Where results are cached, and whether new ones are; None caches none.
    """
    from seal_env.inner_loop.cache.key import JobKeys
    from seal_env.inner_loop.model.stamp import stamp_of

    with _MAKING.held():
        key = (remote, model, plan, stamp_of(model.model, model.revision))
        if key not in _MADE:
            _MADE[key] = REMOTE_INNER_LOOPS[remote](model, plan)
        if store is None:
            return _MADE[key]
        if (*key, store) not in _MADE:
            made: RemoteInnerLoop = _MADE[key]  # type: ignore[assignment]
            keys = JobKeys(made.encoder, model.engine, made.identity)
            _MADE[*key, store] = CachedInnerLoop(made, keys.key, open_store(store[0], writable=store[1]))
        return _MADE[*key, store]


def _gpus() -> int:
    """GPUs of this machine. Raises SettingError without any."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise SettingError("device", EVERY_GPU, "'auto' or 'cpu': this machine has no CUDA device that torch can use")
    return count
