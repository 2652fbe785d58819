"""Workers as Ray actors.

Ray starts a dead actor again, and nothing more: with `max_task_retries` a batch would wait for that although other workers
are free. Waiting for a place, or for a new process, is the one call that Ray may repeat. Every actor has a second thread, in
which a call waits that never ends, so that the death of an idle one is heard of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar

from seal_env.errors import SettingError
from seal_env.inner_loop.workers.actor import InnerLoopActor
from seal_env.inner_loop.workers.connection import disconnect, import_ray
from seal_env.inner_loop.workers.events import Died, Event, Finished, Loaded, Placed, Raised
from seal_env.inner_loop.workers.options import ActorOptions, WorkerModel
from seal_env.types import UpdateJob


class RayTransport:
    """Actors on the cluster that this process is connected to; see `Transport`.

    Args:
        report: Called with each event, from a thread of Ray's.
        count: Actors.
        model: What each runs.
        options: What Ray gives each.
        gpus: GPUs of each.
        connected: Whether the connection to Ray ends with this transport.
        own: Whether Ray runs on this machine for us; CPU cores are then not set aside, so that a second inner loop, whose
            workers have nothing to do while those of the first have, waits for none.

    Raises:
        SettingError: Ray does not take the options.
    """

    actor: ClassVar[type[InnerLoopActor]] = InnerLoopActor

    def __init__(
        self,
        report: Callable[[Event], None],
        count: int,
        model: WorkerModel,
        options: ActorOptions,
        gpus: float,
        connected: bool,
        own: bool,
    ) -> None:
        self._ray, self._report, self._connected = import_ray(), report, connected
        given = options.as_given(0 if own else options.num_cpus, gpus)
        try:
            kind = self._ray.remote(self.actor)
            kind = kind.options(max_restarts=-1, max_task_retries=0, max_concurrency=2, **given)
            self._actors = [kind.remote(model, options.threads) for _ in range(count)]
            self._lives = [0] * count
        except (ValueError, TypeError) as error:
            raise SettingError("worker_options", str(given), f"options of a Ray actor ({error})") from error

    def place(self, worker: int) -> None:
        """See Transport."""
        call = self._actors[worker].process.options(max_task_retries=-1).remote()
        self._when_done(worker, call, lambda process: Placed(worker))

    def load(self, worker: int) -> None:
        """See Transport."""
        self._when_done(worker, self._actors[worker].watch.remote(), lambda _: Died(worker, "it was ended"))
        self._when_done(worker, self._actors[worker].load.remote(), lambda identity: Loaded(worker, identity))

    def send(self, worker: int, jobs: Sequence[UpdateJob]) -> None:
        """See Transport."""
        self._when_done(worker, self._actors[worker].run.remote(list(jobs)), lambda results: Finished(worker, results))

    def end(self, worker: int) -> None:
        """See Transport."""
        with suppress(Exception):  # it may be dead
            self._ray.kill(self._actors[worker])

    def close(self) -> None:
        """See Transport."""
        for worker in range(len(self._actors)):
            self.end(worker)
        if self._connected:
            disconnect()

    def _when_done(self, worker: int, call: Any, event: Callable[[Any], Event]) -> None:
        life = self._lives[worker]

        def done(future: Future[Any]) -> None:
            error = future.exception()
            found = event(future.result()) if error is None else self._failure(worker, error)
            if life != self._lives[worker]:
                return  # its death is known from another call
            self._lives[worker] += isinstance(found, Died)
            self._report(found)

        call.future().add_done_callback(done)

    def _failure(self, worker: int, error: BaseException) -> Event:
        cause = getattr(error, "cause", None)
        if isinstance(error, self._ray.exceptions.RayTaskError) and isinstance(cause, Exception):
            cause.add_note(str(error))  # where it was raised, in the worker
            return Raised(worker, cause)
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return Died(worker, text, isinstance(error, self._ray.exceptions.ActorDiedError))
