"""The losses of an update while it trains, for a display: `with watch_training(listener): inner_loop.run(jobs)`.

Left out: inner loops in other processes, which say nothing until their results are there, as a cache does. A listener sees
numbers that the results have too, and changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class TrainingStep(NamedTuple):
    """An optimizer step of one job. number: from 1. total: steps of the job. loss: mean over its supervised tokens."""

    number: int
    total: int
    loss: float


Listener = Callable[[TrainingStep], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("seal_env.inner_loop.watch", default=None)


@contextmanager
def watch_training(listener: Listener) -> Iterator[None]:
    """Have `listener` called after each optimizer step of every job that this thread runs within the context."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def report_step(number: int, total: int, loss: float) -> None:
    """Tell who watches about a step."""
    if (listener := _LISTENER.get()) is not None:
        listener(TrainingStep(number, total, loss))
