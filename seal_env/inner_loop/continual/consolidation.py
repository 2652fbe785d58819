"""How the updates of a sequence stay: what a model with all of them answers, and from where the next one begins.

A consolidation is an inner loop. Jobs without an update are answered with everything that was learned; an update begins from
the model that its kind says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import torch

from seal_env.inner_loop.continual.merge import LoraWeights, added, read_adapter
from seal_env.inner_loop.continual.model import AdaptedModel, Snapshot
from seal_env.inner_loop.continual.retrieval import Retriever
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.types import Answer, InnerLoop, UpdateJob, UpdateResult


class Kept(NamedTuple):
    """An update that is kept beside the model.

    Attributes:
        adapter: Its weights.
        documents: What it was trained on.
    """

    adapter: LoraWeights
    documents: tuple[str, ...]


class State(NamedTuple):
    """What `restore` returns to."""

    weights: Snapshot
    kept: tuple[Kept, ...]


class Consolidation(WrappedInnerLoop, ABC):
    """Updates of one model that stay.

    Args:
        model: The model; its weights change.
        inner: An inner loop on it.
    """

    def __init__(self, model: AdaptedModel, inner: InnerLoop) -> None:
        super().__init__(inner)
        self.model = model
        self.kept: tuple[Kept, ...] = ()

    def on(self, model: AdaptedModel, inner: InnerLoop) -> Self:
        """The same updates with a copy of the model, which is in the same state."""
        copied = type(self)(model, inner)
        copied.kept = self.kept
        return copied

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        return self.inner.run(jobs)

    @abstractmethod
    def add(self, adapter: Path, documents: Sequence[str]) -> None:
        """Have an update stay.

        Args:
            adapter: `UpdateResult.adapter` of a job that this inner loop ran.
            documents: What it was trained on.

        Raises:
            ModelError: It does not fit the model.
        """

    def state(self) -> State:
        """What there is now."""
        return State(self.model.snapshot(), self.kept)

    def restore(self, state: State) -> None:
        """Return to an earlier state, bit for bit."""
        self.model.restore(state.weights)
        self.kept = state.kept

    def reset(self) -> None:
        """Return to the base model, bit for bit."""
        self.restore(State(Snapshot({}), ()))

    def _keep(self, adapter: Path, documents: Sequence[str]) -> None:
        self.kept = (*self.kept, Kept(read_adapter(adapter, self.model.current), tuple(documents)))


class Merging(Consolidation):
    """An update is added to the weights; the next one begins there."""

    def add(self, adapter: Path, documents: Sequence[str]) -> None:
        """See Consolidation."""
        self.model.merge(adapter)


class Averaging(Consolidation):
    """Each update begins from the base model; the model is the base model plus the mean of their changes."""

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        return _apart(self.model, self.inner, jobs, self.inner.run)

    def add(self, adapter: Path, documents: Sequence[str]) -> None:
        """See Consolidation."""
        self._keep(adapter, documents)
        self.model.reset()
        self.model.write(added([kept.adapter for kept in self.kept], self.model.current.model, 1 / len(self.kept)))


class Orthogonal(Consolidation):
    """As Merging, but an update changes what a layer does with inputs that no earlier update reads, and nothing else.

    The rows of A stay orthogonal to those of all earlier adapters at every step, by projection: O-LoRA (arXiv 2310.14152),
    which approaches this by a penalty. What an earlier adapter adds for an input in its subspace stays exactly as it was.
    """

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        bases = subspaces([kept.adapter for kept in self.kept])
        return self.inner.run([replace(job, orthogonal_to=bases) if job.learns else job for job in jobs])

    def add(self, adapter: Path, documents: Sequence[str]) -> None:
        """See Consolidation."""
        self._keep(adapter, ())
        self.model.merge(adapter)


class Retrieving(Consolidation):
    """Each update begins from the base model and stays an adapter; a question is answered with the one whose documents fit.

    BM25 decides; where none shares a word with the question, the base model answers.
    """

    _indexed: tuple[tuple[Kept, ...], Retriever] | None = None

    def add(self, adapter: Path, documents: Sequence[str]) -> None:
        """See Consolidation."""
        self._keep(adapter, documents)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        return _apart(self.model, self.inner, jobs, self._answer)

    def _answer(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """Results of jobs without an update."""
        if not self.kept:
            return self.inner.run(jobs)
        retriever = self._retriever()
        chosen_Q = [retriever.choose(job.queries_Q) for job in jobs]
        results: list[dict[int | None, UpdateResult]] = [{} for _ in jobs]
        for adapter in dict.fromkeys(each for chosen in chosen_Q for each in chosen):
            asked = [index for index, chosen in enumerate(chosen_Q) if adapter in chosen]
            parts = [_part(jobs[index], chosen_Q[index], adapter) for index in asked]
            self.model.reset()
            if adapter is not None:
                self.model.write(added([self.kept[adapter].adapter], self.model.current.model))
            for index, result in zip(asked, self.inner.run(parts), strict=True):
                results[index][adapter] = result
        self.model.reset()
        return [_together(*each) for each in zip(results, chosen_Q, strict=True)]

    def _retriever(self) -> Retriever:
        """The index of all documents, made anew only when others are kept than at the last call."""
        if self._indexed is None or self._indexed[0] is not self.kept:
            self._indexed = self.kept, Retriever([kept.documents for kept in self.kept])
        return self._indexed[1]


Answering = Callable[[Sequence[UpdateJob]], list[UpdateResult]]


def _apart(model: AdaptedModel, inner: InnerLoop, jobs: Sequence[UpdateJob], answer: Answering) -> list[UpdateResult]:
    """Results of jobs whose updates begin from the base model, while `answer` has those of the others."""
    learning = [index for index, job in enumerate(jobs) if job.learns]
    others = [index for index, job in enumerate(jobs) if not job.learns]
    found = dict(zip(others, answer([jobs[index] for index in others]) if others else (), strict=True))
    if learning:
        before = model.snapshot()
        model.reset()
        try:
            found |= dict(zip(learning, inner.run([jobs[index] for index in learning]), strict=True))
        finally:
            model.restore(before)
    return [found[index] for index in range(len(jobs))]


def _part(job: UpdateJob, chosen_Q: Sequence[int | None], adapter: int | None) -> UpdateJob:
    """A job with the queries for which this adapter was chosen."""
    queries = (query for query, chosen in zip(job.queries_Q, chosen_Q, strict=True) if chosen == adapter)
    return replace(job, queries_Q=tuple(queries))


def _together(parts: Mapping[int | None, UpdateResult], chosen_Q: Sequence[int | None]) -> UpdateResult:
    """One result of those of a job's parts, by adapter; the first infrastructure failure, if there is one."""
    for result in parts.values():
        if result.outcome.is_infrastructure:
            return result
    answers = {adapter: iter(result.answers_Q) for adapter, result in parts.items()}
    answers_Q: tuple[Answer, ...] = tuple(next(answers[chosen]) for chosen in chosen_Q)
    seconds = sum(result.timings.get("evaluate_seconds", 0.0) for result in parts.values())
    first = next(iter(parts.values()))
    return replace(first, answers_Q=answers_Q, timings={**first.timings, "evaluate_seconds": seconds})


def subspaces(adapters: Sequence[LoraWeights]) -> dict[str, torch.Tensor]:
    """For each layer an orthonormal basis, [inputs, n], of what the adapters read of its input: the rows of all A."""
    names = dict.fromkeys(name for adapter in adapters for name in adapter.a)
    rows = {name: torch.cat([each.a[name] for each in adapters if name in each.a]).double() for name in names}
    return {name: torch.linalg.qr(each.T).Q.float() for name, each in rows.items()}


CONSOLIDATIONS: Final[Mapping[str, type[Consolidation]]] = {
    "merge": Merging,
    "average": Averaging,
    "orthogonal": Orthogonal,
    "retrieval": Retrieving,
}
"""By the names that the setting `consolidation` has."""
