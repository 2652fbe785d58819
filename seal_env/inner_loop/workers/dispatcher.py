"""Which jobs go to which worker: no processes, no clock and no threads, only what follows from each event.

Jobs wait in one queue, the largest of a call first. A free worker gets a batch: as many as share the passes of its model,
and no more than its share of what waited when the last jobs came. Jobs are pure, so those whose worker died are run again,
each alone, so that one that ends whoever takes it takes no others along; after two workers it is an infrastructure failure.
Jobs of several orders whose batch raised an error are also run again, each alone: the error ends the order at fault only.
Work goes to workers that have loaded the model: one without a place on the cluster would take jobs and never answer.

Left out: copies of the last jobs on idle workers. The batches at the end are small.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from seal_env.errors import UpdateError
from seal_env.inner_loop.workers.events import Died, Event, Finished, Identity, Loaded, Placed, Raised, Transport
from seal_env.inner_loop.workers.order import Order

MOST_JOBS: Final = 32
"""Jobs of a batch: as many as train side by side."""
MOST_STARTS: Final = 3
"""Times that a worker may die in a row before it has loaded the model."""
NONE_LEFT: Final = "no worker is left"

logger = logging.getLogger(__name__)


class _Item(NamedTuple):
    """A job that waits: its order, and its index there. alone: its worker died, so that it shares a batch with no other."""

    order: Order
    number: int
    alone: bool = False


class Dispatcher:
    """Sends jobs to workers.

    Args:
        transport: Reaches the workers.
        count: How many there are: 0 to `count` - 1.
        step_tokens: Most tokens of the passes that the jobs of a batch share; see `Load.step`.
    """

    def __init__(self, transport: Transport, count: int, step_tokens: int) -> None:
        self._transport, self._step_tokens = transport, step_tokens
        self._living = set(range(count))
        self._free = deque[int]()
        self._running: dict[int, list[_Item]] = {}
        self._waiting = deque[_Item]()
        self._orders: set[Order] = set()
        self._failed_starts: Counter[int] = Counter()
        self._share = 0.0
        self._error: Exception | None = None
        self.identity: Identity | None = None
        """Of the workers; None before the first has loaded the model."""
        for worker in range(count):
            transport.place(worker)

    @property
    def is_lost(self) -> bool:
        """Whether no worker is left, and none will come."""
        return not self._living

    @property
    def ready(self) -> int:
        """Workers that have loaded the model."""
        return len(self._free) + len(self._running)

    def add(self, order: Order) -> None:
        """Run the jobs of an order."""
        self._orders.add(order)
        largest_first = sorted(range(len(order.jobs)), key=lambda index: -order.loads[index].total)
        self._waiting.extend(_Item(order, index) for index in largest_first)
        waiting = sum(item.order.loads[item.number].total for item in self._waiting)
        self._share = waiting / max(1, len(self._living))
        if self.is_lost:
            self._give_up()
        self._dispatch()

    def withdraw(self, order: Order) -> None:
        """Forget an order. Its jobs that run are run to the end; nobody asks for the results."""
        self._orders.discard(order)
        self._waiting = deque(item for item in self._waiting if item.order is not order)

    def handle(self, event: Event) -> None:
        """Do what follows from an event."""
        if event.worker not in self._living:
            return
        match event:
            case Placed(worker):
                self._transport.load(worker)
            case Loaded(worker, identity):
                self._loaded(worker, identity)
            case Finished(worker, results):
                batch = self._running.pop(worker)
                self._free.append(worker)
                for item, result in zip(batch, results, strict=True):
                    item.order.add(item.number, result)
            case Raised(worker, error):
                self._raised(worker, error)
            case Died(worker, reason, for_good):
                self._died(worker, reason, for_good)
        self._dispatch()

    def fail(self, error: Exception) -> None:
        """End all orders with an error."""
        for order in self._orders:
            order.fail(error)
        self._orders.clear()
        self._waiting.clear()

    def _dispatch(self) -> None:
        for order in [each for each in self._orders if each.is_over or (not each.jobs and self.identity is not None)]:
            order.end("")  # nothing is open, or it waited for the first worker alone
            self.withdraw(order)
        while self._free and self._waiting:
            worker = self._free.popleft()
            batch = self._next_batch()
            try:
                self._transport.send(worker, [item.order.jobs[item.number] for item in batch])
            except Exception:
                self._free.append(worker)
                raise
            self._running[worker] = batch

    def _next_batch(self) -> list[_Item]:
        batch, step, total = [self._waiting.popleft()], 0, 0
        while not batch[-1].alone:
            load = batch[-1].order.loads[batch[-1].number]
            step, total = step + load.step, total + load.total
            if not self._waiting or self._waiting[0].alone or len(batch) == MOST_JOBS:
                break
            following = self._waiting[0].order.loads[self._waiting[0].number]
            if step + following.step > self._step_tokens or total + following.total > self._share:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _loaded(self, worker: int, identity: Identity) -> None:
        self.identity = self.identity or identity
        if identity != self.identity:
            logger.warning("worker %d is not used: it has %s, and the others have %s", worker, identity, self.identity)
            self._lose(worker)
            return
        del self._failed_starts[worker]
        self._free.append(worker)

    def _raised(self, worker: int, error: Exception) -> None:
        batch = self._running.pop(worker, None)
        if batch is None:
            logger.warning("worker %d cannot load the model: %s", worker, error)
            self._error = error
            self._lose(worker)
            return
        if len({item.order for item in batch}) == 1:
            batch[0].order.fail(error)
        else:  # one job of one order is at fault
            self._run_again(batch)
        self._free.append(worker)

    def _died(self, worker: int, reason: str, for_good: bool) -> None:
        logger.warning("worker %d died: %s", worker, reason)
        batch = self._running.pop(worker, ())
        if worker in self._free:
            self._free.remove(worker)
        elif not batch:
            self._failed_starts[worker] += 1
            self._error = self._error or UpdateError(f"no worker could be started: {reason}")
        elif len(batch) > 1 or batch[0].order.blame(batch[0].number):
            self._run_again(batch)
        if for_good or self._failed_starts[worker] >= MOST_STARTS:
            self._lose(worker)
        else:
            self._transport.place(worker)

    def _run_again(self, batch: Iterable[_Item]) -> None:
        """Each alone, unless nobody asks for it any more."""
        self._waiting.extend(item._replace(alone=True) for item in batch if item.order in self._orders)

    def _lose(self, worker: int) -> None:
        """Use a worker no longer."""
        self._living.discard(worker)
        self._transport.end(worker)
        if self.is_lost:
            self._give_up()

    def _give_up(self) -> None:
        if self.identity is None and self._error is not None:
            self.fail(self._error)
        for order in self._orders:
            order.end(NONE_LEFT)
