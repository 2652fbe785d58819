"""What one call of `run` orders: its jobs, and the results as they come in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.types import Outcome, UpdateJob, UpdateResult

MOST_DEATHS: Final = 2
"""Workers that a job may end while it runs alone."""
ENDED_WORKERS: Final = "its worker died twice while it ran this job alone"


class Load(NamedTuple):
    """What a job asks of a worker, in tokens.

    Attributes:
        step: Those that it adds to a pass of the model: of an optimizer step, or of all queries if it does not train.
        total: Those that it reads in all.
    """

    step: int
    total: int


def load_of(job: UpdateJob, encoder: JobEncoder) -> Load:
    """The load of a job. Raises ModelError if the model's chat template cannot render its messages."""
    encoded = [encoder.query(query) for query in job.queries_Q]
    queries = sum(len(query.prompt_T) + len(query.gold_T) for query in encoded)
    if not job.learns:
        return Load(queries, queries)
    lengths = [len(encoder.example(example, job.recipe).ids_T) for example in job.examples_E]
    step = sum(lengths) * min(job.recipe.batch_size, len(lengths)) // len(lengths)
    return Load(step, sum(lengths) * job.training.num_train_epochs + queries)


class Order:
    """Jobs of one call, with what is known of them. One without jobs waits for the first worker.

    Args:
        jobs: What to run.
        loads: What each asks of a worker.
    """

    def __init__(self, jobs: Sequence[UpdateJob], loads: Sequence[Load]) -> None:
        self.jobs, self.loads = tuple(jobs), tuple(loads)
        self._found: dict[int, UpdateResult] = {}
        self._deaths: Counter[int] = Counter()
        self._error: Exception | None = None
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, or so long; whether it has come."""
        return self._over.wait(seconds)

    def is_open(self, index: int) -> bool:
        """Whether a job still has no result."""
        return index not in self._found

    def add(self, index: int, result: UpdateResult) -> None:
        """The result of a job."""
        self._found[index] = result
        if len(self._found) == len(self.jobs):
            self._over.set()

    def blame(self, index: int) -> bool:
        """Note that a job's worker died while it ran this job alone. Returns whether to try it again."""
        self._deaths[index] += 1
        if self._deaths[index] < MOST_DEATHS:
            return True
        self.add(index, UpdateResult(Outcome.ENGINE_ERROR, ENDED_WORKERS, ()))
        return False

    def end(self, reason: str) -> None:
        """Give the jobs without a result an infrastructure failure."""
        for index in range(len(self.jobs)):
            if self.is_open(index):
                self.add(index, UpdateResult(Outcome.ENGINE_ERROR, reason, ()))
        self._over.set()

    def fail(self, error: Exception | None = None) -> None:
        """End the order; an error is raised for whoever waits."""
        self._error = self._error or error
        self._over.set()

    def results(self) -> list[UpdateResult]:
        """In the order of the jobs. Raises what ended the order."""
        if self._error is not None:
            raise self._error
        return [self._found[index] for index in range(len(self.jobs))]
