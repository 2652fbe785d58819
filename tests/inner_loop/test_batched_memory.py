"""The batched inner loop when memory is short: shorter passes, the same results, and no harm to other jobs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from seal_env.inner_loop.batched import loop as batched
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.model.memory import bytes_stored
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob, UpdateResult

PAIRS = tuple(
    GridPair(((a, b), (b, c)), ((b, a), (c, b))) for a, b, c in [(1, 2, 9), (3, 4, 8), (5, 6, 1), (7, 8, 2), (2, 9, 4)]
)
PLAIN = GridFormat("plain")
EXAMPLES = tuple(example([p for p in PAIRS if p != asked][:n], asked, PLAIN) for n in (0, 1, 3) for asked in PAIRS)
QUERIES = tuple(query(str(n), PAIRS[:n], PAIRS[n], PLAIN) for n in (1, 2, 4))
SPEC = LoraSpec(rank=4, alpha=8.0)


def job(number: int, **changes: Any) -> UpdateJob:
    training = TrainingConfig("train_using_output_tokens", 1e-3 * (1 + number), 1 + number % 3)
    made = UpdateJob(EXAMPLES[number % 5 : 6 + 2 * (number % 4)], training, SPEC, Recipe(), number, QUERIES)
    return replace(made, **changes)


JOBS = [job(number) for number in range(6)]


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


def assert_same(ours: UpdateResult, theirs: UpdateResult) -> None:
    """Equal but for rounding."""
    assert (ours.outcome, ours.tokens_trained) == (theirs.outcome, theirs.tokens_trained)
    assert ours.losses_S == pytest.approx(theirs.losses_S, abs=1e-4)
    assert [answer.margin for answer in ours.answers_Q] == pytest.approx([a.margin for a in theirs.answers_Q], abs=0.01)
    assert [(a.query_id, a.exact, a.text) for a in ours.answers_Q] == [
        (a.query_id, a.exact, a.text) for a in theirs.answers_Q
    ]


class Cramped:
    """Memory that holds so many tokens of a pass and no more."""

    def __init__(self, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passes: list[int] = []
        hidden = PackedModel.hidden

        def limited(model: PackedModel, packed: Packed, *arguments: Any) -> torch.Tensor:
            self.passes.append(packed.ids.shape[1])
            if packed.ids.shape[1] > tokens:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return hidden(model, packed, *arguments)

        monkeypatch.setattr(PackedModel, "hidden", limited)


def longest(base: FrozenLM, jobs: Sequence[UpdateJob]) -> int:
    return max(len(base.encoder.example(each, Recipe()).ids_T) for job in jobs for each in job.examples_E)


def test_memory_that_runs_out_makes_passes_shorter_and_results_the_same(
    llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = BatchedInnerLoop(llama).run(JOBS)
    room = max(longest(llama, JOBS), *(len(llama.encoder.query(q).prompt_T) + 20 for q in QUERIES))
    loop = BatchedInnerLoop(llama)
    loop.run([])
    cramped = Cramped(room, monkeypatch)
    results = loop.run(JOBS)
    assert min(result.micro_batch for result in results) == 1
    assert sum(tokens > room for tokens in cramped.passes) < len(cramped.passes) / 2
    for mine, other in zip(results, expected, strict=True):
        assert_same(mine, other)


def test_a_job_that_does_not_fit_alone_is_out_of_memory_and_the_others_are_unharmed(
    llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tuple(example(PAIRS[:4], asked, PLAIN) for asked in PAIRS)
    short = [job(n, examples_E=EXAMPLES[:4], queries_Q=QUERIES[:1]) for n in range(3)]
    expected = BatchedInnerLoop(llama).run(short)
    room = max(longest(llama, short), len(llama.encoder.query(QUERIES[0]).prompt_T) + 20)
    assert room < longest(llama, [job(0, examples_E=long)])
    Cramped(room, monkeypatch)
    results = BatchedInnerLoop(llama).run([short[0], job(5, examples_E=long, queries_Q=QUERIES[:1]), *short[1:]])
    assert results[1].outcome is Outcome.OUT_OF_MEMORY
    assert "one example at a time" in results[1].reason
    for mine, other in zip([results[0], *results[2:]], expected, strict=True):
        assert_same(mine, other)


def test_a_query_that_does_not_fit_is_out_of_memory(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(n, examples_E=EXAMPLES[:2], queries_Q=QUERIES[:1]) for n in range(2)]
    loop = BatchedInnerLoop(llama)
    loop.run(jobs)
    Cramped(len(llama.encoder.query(QUERIES[2]).prompt_T), monkeypatch)
    results = loop.run([*jobs, job(2, examples_E=EXAMPLES[:2])])
    assert [result.outcome for result in results] == [Outcome.OK, Outcome.OK, Outcome.OUT_OF_MEMORY]
    assert "query '4' alone" in results[2].reason


def test_sizes_follow_from_the_memory_that_is_free(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = BatchedInnerLoop(llama)
    model = loop._model(SPEC)
    sizes = []
    for free in (10**3, 10**6, 10**7, 10**12):
        monkeypatch.setattr(batched, "free_bytes", lambda _, free=free: free)
        sizes.append(loop._sizes(model, 100, 2))
    assert sizes[0] == (1, 1)
    assert sizes[-1] == (32, 2048)
    assert sizes == sorted(sizes)
    assert sizes[1][1] < sizes[2][1]


def test_memory_of_a_token_grows_with_the_model(tiny_models: dict[str, str]) -> None:
    tiny = batched.token_bytes(PackedModel(load_base_model(tiny_models["llama"], "cpu"), SPEC))
    seal = batched.token_bytes(PackedModel(load_base_model("seal-tiny", "cpu"), SPEC))
    assert 2_000 < tiny < 20_000
    assert seal > 5 * tiny


def test_measuring_what_is_stored_leaves_nothing_behind() -> None:
    leaf, found = torch.ones(3, requires_grad=True), list[weakref.ref[torch.Tensor]]()

    def work() -> None:
        stored = leaf.exp()
        found.append(weakref.ref(stored))
        (leaf * stored).sum()

    gc.disable()
    try:
        assert bytes_stored(work, set()) >= 24
        assert found[0]() is None
    finally:
        gc.enable()
