"""Workers that are in use: a dispatcher in a thread of its own, which hears of orders and of events one after another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Final

from seal_env.forking import Lock
from seal_env.inner_loop.workers.dispatcher import Dispatcher
from seal_env.inner_loop.workers.events import Event, Identity, Transport
from seal_env.inner_loop.workers.order import Order

CLOSED: Final = "the workers were closed while they ran jobs"


class Session:
    """Runs orders from any thread until it is closed.

    Args:
        open_transport: Makes the transport, given what is to be called, from any thread, with each event.
        count: Workers.
        step_tokens: See `Dispatcher`.
    """

    def __init__(self, open_transport: Callable[[Callable[[Event], None]], Transport], count: int, step_tokens: int) -> None:
        self._closed, self._turn = False, Lock()
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._transport = open_transport(lambda event: self._queue.put(partial(self._handle, event)))
        self._dispatcher = Dispatcher(self._transport, count, step_tokens)
        self._thread = Thread(target=self._serve, name="seal-env workers", daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether no worker is left."""
        return self._dispatcher.is_lost

    @property
    def ready(self) -> int:
        """Workers that have loaded the model."""
        return self._dispatcher.ready

    @property
    def identity(self) -> Identity:
        """Of the workers, once an order has ended without an error."""
        assert self._dispatcher.identity is not None
        return self._dispatcher.identity

    def submit(self, order: Order) -> None:
        """Run an order; see `Order.wait`. If the session is closed, it raises RuntimeError at once."""
        with self._turn.held():
            if self._closed:
                order.fail(RuntimeError(CLOSED))
            else:
                self._queue.put(partial(self._dispatcher.add, order))

    def withdraw(self, order: Order) -> None:
        """Forget an order, if it is not over."""
        if not order.is_over:
            self._queue.put(partial(self._dispatcher.withdraw, order))

    def close(self) -> None:
        """End the workers. Orders that are not over raise RuntimeError."""
        with self._turn.held():
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._dispatcher.fail(RuntimeError(CLOSED))
        self._transport.close()

    def _handle(self, event: Event) -> None:
        self._dispatcher.handle(event)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception as error:
                self._dispatcher.fail(error)
