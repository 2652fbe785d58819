"""The batched inner loop when memory is short: shorter passes, the same results, and no harm to other jobs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.inner_loop.shapes import LLAMA_1B, draw_model
from seal_env.inner_loop.batched import loop as batched
from seal_env.inner_loop.batched import lora, slots
from seal_env.inner_loop.batched.attention import varlen_kernel
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.lora import LoraStack, layer_shapes
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.model.memory import bytes_stored
from seal_env.inner_loop.optim.adamw import AdamW
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob, UpdateResult
from tests.inner_loop.test_cuda_path import attend_with

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


CARD_BYTES, CONTEXT_BYTES = 81_559 * 2**20, 600 * 2**20
"""Of an H100 with 80 GB: its memory, and what CUDA takes of it."""


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
        sizes.append(loop._sizes(model, 100, AdamW()))
    assert sizes[0] == (1, 1)
    assert sizes[-1] == (32, 2048)
    assert sizes == sorted(sizes)
    assert sizes[1][1] < sizes[2][1]


@pytest.mark.parametrize(("dtype", "kernels", "expected"), [
    ("float32", False, (16, 4)), ("bfloat16", False, (18, 2)), ("bfloat16", True, (16, 2)),
])  # fmt: skip
def test_plan_of_an_adapter_is_what_it_takes(
    dtype: str, kernels: bool, expected: tuple[int, int], tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernels:
        monkeypatch.setattr(slots, "kernels_for", lambda *_: object())
        monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    model = PackedModel(load_base_model(tiny_models["llama"], "cpu", dtype=dtype), SPEC)
    found, count = slots.adapter_bytes(model, AdamW()), layer_shapes(model.layers, SPEC.rank)[1]
    assert (found.training // count, found.waiting // count) == expected
    assert slots.TrainingSlots(model, 3, 0, AdamW()).bytes_held == 3 * found.training
    assert LoraStack(SPEC, model.layers, 3, learn=False, light=True).weights.nbytes == 3 * found.waiting


@pytest.mark.parametrize(("jobs", "expected"), [(16, (16, 11000)), (32, (32, 7000)), (64, (29, 7000))])
def test_llama_1b_has_32_adapters_on_80_gb(
    jobs: int, expected: tuple[int, int], llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On meta tensors, with the products and the attention of a GPU."""
    monkeypatch.setattr(slots, "kernels_for", lambda *_: object())
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    attend_with(varlen_kernel(), monkeypatch)
    meta = torch.device("meta")
    model, _ = draw_model(LLAMA_1B, "meta", torch.bfloat16)
    loop = BatchedInnerLoop(replace(llama, model=model.requires_grad_(False), device=meta, inner_loops={}))
    weights = sum(weight.nbytes for weight in model.parameters())
    monkeypatch.setattr(batched, "free_bytes", lambda _: CARD_BYTES - CONTEXT_BYTES - weights)
    monkeypatch.setitem(batched.MOST_TOKENS, "meta", batched.MOST_TOKENS["cuda"])
    packed = PackedModel(loop.base, LoraSpec(128, 16.0))
    found = loop._sizes(packed, jobs, AdamW())
    assert (found[0], found[1] // 1000 * 1000) == expected


def test_bf16_results_do_not_depend_on_where_adapters_wait(tiny_models: dict[str, str]) -> None:
    """With a slot for each job they are evaluated where they were trained, with fewer from copies."""
    base = load_base_model(tiny_models["llama"], "cpu", dtype="bfloat16")
    mine, other = (BatchedInnerLoop(base, slots=count).run(JOBS) for count in (len(JOBS), 2))
    for ours, theirs in zip(mine, other, strict=True):
        assert ours.outcome is theirs.outcome is Outcome.OK
        assert ours.losses_S == pytest.approx(theirs.losses_S, rel=0.02)
        assert [a.margin for a in ours.answers_Q] == pytest.approx([a.margin for a in theirs.answers_Q], rel=0.05, abs=0.1)


def test_saved_adapters_are_fp32_whatever_the_model_is(tiny_models: dict[str, str], tmp_path: Path) -> None:
    base = load_base_model(tiny_models["llama"], "cpu", dtype="bfloat16")
    jobs = [replace(each, save_to=tmp_path / str(index)) for index, each in enumerate(JOBS[:3])]
    BatchedInnerLoop(base, slots=2).run(jobs)
    for each in jobs:
        assert each.save_to is not None
        tensors = load_file(each.save_to / "adapter_model.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
        assert any(not torch.equal(tensor, tensor.bfloat16().float()) for tensor in tensors.values() if tensor.any())


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
