"""Inner loops for tests: small ones that train nothing, and one that notes what another is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from seal_env.types import Example, InnerLoop, Outcome, Recipe, UpdateJob, UpdateResult


class FakeInnerLoop(ABC):
    """Gives each job the result that `result` makes up. An example counts ten tokens. calls: the jobs of each call."""

    def __init__(self) -> None:
        self.calls: list[list[UpdateJob]] = []

    @property
    def jobs(self) -> list[UpdateJob]:
        return [job for jobs in self.calls for job in jobs]

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        return [10 for _ in examples]

    def max_tokens(self, recipe: Recipe) -> int:
        return 8192

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        self.calls.append(list(jobs))
        return [self.result(job) for job in jobs]

    @abstractmethod
    def result(self, job: UpdateJob) -> UpdateResult:
        """What comes of one job."""


class NotingInnerLoop:
    """Hands everything on to `inner`, and notes the jobs of each call; those at the places `broken` fail."""

    def __init__(self, inner: InnerLoop, broken: Sequence[int] = ()) -> None:
        self.inner, self.broken = inner, broken
        self.calls: list[list[UpdateJob]] = []

    @property
    def jobs(self) -> list[UpdateJob]:
        return [job for jobs in self.calls for job in jobs]

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        return self.inner.count_tokens(examples)

    def max_tokens(self, recipe: Recipe) -> int:
        return self.inner.max_tokens(recipe)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        self.calls.append(list(jobs))
        return [
            replace(result, outcome=Outcome.ENGINE_ERROR, reason="lost") if place in self.broken else result
            for place, result in enumerate(self.inner.run(jobs))
        ]
