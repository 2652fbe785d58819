"""Simulated workers on a simulated clock, for the real dispatcher: no process, no model and no second of waiting."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from seal_env.inner_loop.workers.dispatcher import Dispatcher
from seal_env.inner_loop.workers.events import Died, Event, Finished, Loaded, Placed
from seal_env.inner_loop.workers.order import Order
from seal_env.types import Outcome, UpdateJob, UpdateResult

IDENTITY = {"model": "simulated"}


@dataclass
class SimulatedTransport:
    """Workers that take as long, and die as often, as they are told; see `seal_env.inner_loop.workers.events.Transport`.

    Attributes:
        seconds: Of a batch.
        place_seconds: Until each worker has a process for the first time.
        start_seconds: To start a process and load the model.
        mean_life: Mean seconds between two deaths of a worker, exponentially distributed; infinity is no death.
        poison: Whether a job ends whoever runs it.
        rng: Draws the deaths.
        now: Seconds on the clock.
        busy: Seconds that workers spent on batches that they finished.
        lost: Seconds that they spent on batches that they did not finish.
        sent: How often each job was sent, by its seed.
    """

    seconds: Callable[[Sequence[UpdateJob]], float]
    place_seconds: Sequence[float]
    start_seconds: float = 0.0
    mean_life: float = float("inf")
    poison: Callable[[UpdateJob], bool] = lambda job: False
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    now: float = 0.0
    busy: float = 0.0
    lost: float = 0.0
    deaths: int = 0
    sent: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, int, Event]] = []
        self._number = count()
        self._placed: set[int] = set()
        self._since: dict[int, float] = {}
        self._lives: Counter[int] = Counter()

    def at(self, seconds: float, event: Event) -> None:
        """Have something happen later."""
        life = self._lives[event.worker]
        heapq.heappush(self._events, (self.now + seconds, next(self._number), life, event))

    def place(self, worker: int) -> None:
        """See Transport."""
        self.at(0.0 if worker in self._placed else self.place_seconds[worker], Placed(worker))
        self._placed.add(worker)

    def load(self, worker: int) -> None:
        """See Transport."""
        self.at(self.start_seconds, Loaded(worker, IDENTITY))
        if self.mean_life < float("inf"):
            self._die(worker, self.start_seconds + self.rng.expovariate(1 / self.mean_life))

    def send(self, worker: int, jobs: Sequence[UpdateJob]) -> None:
        """See Transport."""
        self.sent.update(job.seed for job in jobs)
        seconds = self.seconds(jobs)
        self._since[worker] = self.now
        if any(map(self.poison, jobs)):
            self._die(worker, seconds / 2)
        else:
            self.at(seconds, Finished(worker, [result_of(job) for job in jobs]))

    def _die(self, worker: int, seconds: float) -> None:
        self.at(seconds, Died(worker, "simulated"))

    def end(self, worker: int) -> None:
        """See Transport."""

    def close(self) -> None:
        """See Transport."""

    def run(self, dispatcher: Dispatcher, order: Order) -> list[UpdateResult]:
        """Let the clock run until an order is over."""
        dispatcher.add(order)
        for event in self.events():
            dispatcher.handle(event)
            if order.is_over:
                break
        return order.results()

    def events(self) -> Iterable[Event]:
        """What happens, one after another."""
        while self._events:
            self.now, _, life, event = heapq.heappop(self._events)
            if life != self._lives[event.worker]:
                continue  # the worker that it was about is dead
            spent = self.now - self._since.pop(event.worker, self.now)
            if isinstance(event, Died):
                self.lost, self.deaths = self.lost + spent, self.deaths + 1
                self._lives[event.worker] += 1
            self.busy += spent * isinstance(event, Finished)
            yield event


def result_of(job: UpdateJob) -> UpdateResult:
    """A result by which its job is known."""
    return UpdateResult(Outcome.OK, "", (), tokens_trained=job.seed)
