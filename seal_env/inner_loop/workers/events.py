"""What a dispatcher hears of workers, and what it can have done by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seal_env.types import UpdateJob, UpdateResult

Identity = Mapping[str, Any]
"""What decides a worker's results beside the job: libraries and model, as data that JSON can hold."""


@dataclass(frozen=True)
class Placed:
    """A worker has a process, which has not loaded the model yet."""

    worker: int


@dataclass(frozen=True)
class Loaded:
    """A worker has loaded the model and takes jobs."""

    worker: int
    identity: Identity


@dataclass(frozen=True)
class Finished:
    """A worker has run its batch."""

    worker: int
    results: Sequence[UpdateResult]


@dataclass(frozen=True)
class Raised:
    """The code in a worker raised an error, while it loaded the model or ran its batch. The worker lives."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Died:
    """The process of a worker, which may be idle, is gone or cannot be reached. for_good: it does not come again."""

    worker: int
    reason: str
    for_good: bool = False


Event = Placed | Loaded | Finished | Raised | Died


class Transport(Protocol):
    """Reaches workers, by number. Every call returns at once; what comes of it is an event later.

    A transport is closed once. Workers that died start again by themselves.
    """

    def place(self, worker: int) -> None:
        """Wait for the worker's process, however long that takes: Placed, or Died."""
        ...

    def load(self, worker: int) -> None:
        """Have the model loaded: Loaded, Raised or Died."""
        ...

    def send(self, worker: int, jobs: Sequence[UpdateJob]) -> None:
        """Have jobs run: Finished, Raised or Died."""
        ...

    def end(self, worker: int) -> None:
        """End the worker for good. No event follows."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...
