"""An inner loop that has its jobs run by workers on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from seal_env.errors import SettingError, UpdateError
from seal_env.forking import Lock, is_fork
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.inner_loop.workers.connection import connect, disconnect, import_ray
from seal_env.inner_loop.workers.events import Identity
from seal_env.inner_loop.workers.options import LOCAL, WorkerModel, WorkerPlan
from seal_env.inner_loop.workers.order import Order, load_of
from seal_env.inner_loop.workers.ray_transport import RayTransport
from seal_env.inner_loop.workers.session import Session
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.types import InnerLoop, UpdateJob, UpdateResult

STEP_TOKENS: Final = {"cpu": 2048, "cuda": 32768}
"""Tokens of a pass beyond which a batch gains nothing."""
PATIENCE_SECONDS: Final = 60.0
"""After so long without any worker a line says what they wait for."""
SHUT_DOWN: Final = "ray.shutdown() was called in this process while workers ran jobs"

logger = logging.getLogger(__name__)


class RayInnerLoop(WrappedInnerLoop):
    """Sends jobs in batches to inner loops on a Ray cluster. Thread-safe: the jobs of all threads share the workers.

    Nothing starts before the first job. `close` ends the workers, and Ray if it was started for them; a later job starts
    them again. A job's result is that of one inner loop on this machine, apart from rounding, which depends on the others
    of its batch. A job whose worker dies is run again by another; one that ends two workers alone is an ENGINE_ERROR.

        loop = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(2))
        results = loop.run(jobs)
        loop.close()

    Args:
        inner: An inner loop of the same kind on this model in this process, which needs no weights: it counts tokens.
        encoder: Of the model.
        model: What each worker runs.
        plan: How many workers there are, where, and what each gets.
    """

    def __init__(self, inner: InnerLoop, encoder: JobEncoder, model: WorkerModel, plan: WorkerPlan) -> None:
        super().__init__(inner)
        self.encoder, self._model, self._plan = encoder, model, plan
        self._session: Session | None = None
        self._turn = Lock()
        self._holders: WeakSet[Any] = WeakSet()

    @property
    def ready(self) -> int:
        """Workers that have loaded the model."""
        return 0 if self._session is None else self._session.ready

    def identity(self) -> Identity:
        """What decides the results beside the job, as the first worker says. Raises what `run` raises."""
        self.run_order(Order((), ()))
        assert self._session is not None
        return self._session.identity

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop.

        Raises:
            SettingError: Ray's address or options are not legal, or the machine cannot give a worker what it asks for.
            ModelError: No worker can load the model.
            UpdateError: No worker can be started, or Ray was shut down meanwhile.
            MissingExtraError: Ray is not installed.
        """
        if not jobs:
            return []
        placed = [job if job.save_to is None else replace(job, save_to=_empty(job.save_to)) for job in jobs]
        results = self.run_order(Order(placed, [load_of(job, self.encoder) for job in placed]))
        return [
            result if result.adapter is None else replace(result, adapter=job.save_to)
            for job, result in zip(jobs, results, strict=True)
        ]

    def run_order(self, order: Order) -> list[UpdateResult]:
        """Have an order run and wait for it. Raises what `run` raises."""
        session = self._open()
        session.submit(order)
        try:
            while not order.wait(PATIENCE_SECONDS):
                if not import_ray().is_initialized():
                    raise UpdateError(SHUT_DOWN)
                if not session.ready:
                    logger.warning("no worker has answered yet: %s", self._wanted())
        finally:
            session.withdraw(order)
        return order.results()

    def close(self) -> None:
        """End the workers, and Ray if it was started for them. A `run` that waits for jobs raises RuntimeError."""
        with self._turn.held():
            session, self._session = self._session, None
            if session is not None and not is_fork():
                session.close()

    def hold(self, holder: object) -> None:
        """Keep the workers until this holder, and all others, have released them."""
        self._holders.add(holder)

    def release(self, holder: object) -> None:
        """See `hold`."""
        self._holders.discard(holder)
        if not self._holders:
            self.close()

    def _open(self) -> Session:
        with self._turn.held():
            if is_fork():
                raise UpdateError("a forked process cannot use Ray: start processes by 'spawn' or 'forkserver'")
            if self._session is not None and (self._session.is_lost or not import_ray().is_initialized()):
                self.close()
            if self._session is None:
                self._session = self._start()
            return self._session

    def _start(self) -> Session:
        plan, actor = self._plan, self._plan.actor
        connected = connect(plan.address)
        own = connected and plan.address == LOCAL
        try:
            there = import_ray().cluster_resources()
            on_gpu = self._model.device == "cuda" or (self._model.device == "auto" and there.get("GPU", 0) > 0)
            gpus = float(on_gpu) if actor.num_gpus is None else actor.num_gpus
            if plan.address == LOCAL:
                _check_room(there, {"CPU": actor.num_cpus, "GPU": gpus, **actor.resources})
            count = plan.count or _fitting(there, actor.num_cpus, gpus)
            make = partial(
                RayTransport, count=count, model=self._model, options=actor, gpus=gpus, connected=connected, own=own
            )
            return Session(make, count, STEP_TOKENS["cuda" if on_gpu else "cpu"])
        except BaseException:
            if connected:
                disconnect()
            raise

    def _wanted(self) -> str:
        there = import_ray().cluster_resources()
        has = ", ".join(f"{name} {there.get(name, 0):g}" for name in ("CPU", "GPU"))
        return f"each asks for {self._plan.actor.model_dump(exclude_none=True)}, and the cluster has {has}"


def make_ray_inner_loop(model: WorkerModel, plan: WorkerPlan) -> RayInnerLoop:
    """The inner loop `ray`. Reads the model's configuration and tokenizer, and starts nothing.

    Raises:
        ModelError: They cannot be read.
        MissingExtraError: Ray is not installed.
    """
    from seal_env.inner_loop import inner_loop_on
    from seal_env.inner_loop.model.outline import load_outline

    import_ray()
    outline = load_outline(model.model, model.template, model.revision)
    place = os.path.abspath(model.model) if os.path.isdir(model.model) else model.model
    return RayInnerLoop(inner_loop_on(outline, model.inner_loop), outline.encoder, replace(model, model=place), plan)


def _fitting(there: dict[str, float], cpus: float, gpus: float) -> int:
    """How many workers the cluster has room for: at least one, for which there may be room later."""
    rooms = [there.get(name, 0) // wanted for name, wanted in (("CPU", cpus), ("GPU", gpus)) if wanted]
    return max(1, int(min(rooms, default=1)))


def _check_room(there: dict[str, float], wanted: dict[str, float]) -> None:
    for name, amount in wanted.items():
        if amount > there.get(name, 0):
            legal = f"what this machine has: {name} {there.get(name, 0):g}"
            raise SettingError("worker_options", f"{name} {amount:g} for each worker", legal)


def _empty(folder: Path) -> Path:
    """The absolute path of a folder to save to. Raises FileExistsError if something is in it."""
    path = Path(os.path.abspath(folder))
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    return path
