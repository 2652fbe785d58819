"""Passes that recur: padded to shapes and replayed, they give what they give as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import pytest
import torch
from packaging.version import Version
from transformers import LlamaConfig, LlamaForCausalLM

from seal_env.inner_loop.batched import attention, batch, graphs, lora, small_pass
from seal_env.inner_loop.batched.graphs import PLAIN_RUNS, Recorder
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce
from seal_env.inner_loop.batched.layout import Layout
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Piece
from seal_env.inner_loop.batched.small_pass import Shape, SmallPasses, padded, rounded, shape_of
from seal_env.inner_loop.deterministic import deterministic_algorithms
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.types import PROFILES, LoraSpec
from tests.inner_loop.test_batched_inner_loop import JOBS, QUERIES, assert_same, job
from tests.inner_loop.test_cuda_path import SHAPE, varlen

CPU = torch.device("cpu")


class Replays:
    """Stands for CUDA's graphs: what is recorded is done again, with the tensors that it had."""

    def __init__(self) -> None:
        self.widths: list[int] = []

    def record(self, work: Callable[[], torch.Tensor], last: Any) -> tuple[Any, Any]:
        replays = self

        class Recording:
            def replay(self) -> None:
                self.found = work()
                replays.widths.append(self.found.numel())

            def clone(self) -> torch.Tensor:
                return self.found

        recording = Recording()
        return recording, recording


def kernel(q: Any, k: Any, v: Any, q_bounds: Any, k_bounds: Any, q_most: int, k_most: int, **named: Any) -> torch.Tensor:
    """torch's kernel with bounds and lengths beyond the last sequence."""
    assert all(stop - start <= q_most for start, stop in pairwise(q_bounds.tolist()))
    bounds = q_bounds.unique_consecutive()
    longest = int((bounds[1:] - bounds[:-1]).max())
    return varlen(q, k, v, bounds, bounds, longest, longest, **named)


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Replays:
    found = Replays()
    monkeypatch.setattr(graphs, "record", found.record)
    monkeypatch.setattr(small_pass, "varlen_kernel", lambda: kernel)
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    monkeypatch.setitem(batch.LATE, "cpu", 1)
    return found


FREE = tuple(replace(each, pattern=None, max_answer_tokens=limit) for each, limit in zip(QUERIES, (90, 7, 20), strict=True))


def test_replayed_passes_do_the_same(llama: FrozenLM, replays: Replays) -> None:
    """Three jobs in two slots, of which the second ends first; answers beyond the room that their keys have at first."""
    jobs = [job(number, queries_Q=FREE) for number in (2, 1, 3)]
    expected = BatchedInnerLoop(llama, 2).run(jobs)
    assert replays.widths == []
    for mine, other in zip(BatchedInnerLoop(llama, 2, graphs=True).run(jobs), expected, strict=True):
        assert_same(mine, other)
    assert {1, 2, 6} <= set(replays.widths)  # jobs in training, answers that grow


def test_graphs_serve_the_next_call(llama: FrozenLM, replays: Replays) -> None:
    loop, jobs = BatchedInnerLoop(llama, 2, graphs=True), [job(2, decode=False), job(1, decode=False)]
    first = loop.run(jobs)
    begun = len(replays.widths)
    second = loop.run(jobs)
    assert len(replays.widths) - begun > 2 * begun > 0  # the first runs of a shape are plain, and no call's but the first's
    for mine, other in zip(second, first, strict=True):
        assert_same(mine, other)
    assert loop._kept.bytes_held > 0
    loop.run([replace(jobs[0], lora=LoraSpec(8, 8.0), decode=False)])
    loop.run([replace(jobs[0], method="full", decode=False)])
    assert loop._kept.bytes_held == 0


def test_graphs_of_other_algorithms_are_not_replayed(llama: FrozenLM, replays: Replays) -> None:
    loop, jobs = BatchedInnerLoop(llama, 2, graphs=True), [job(1, decode=False)]
    loop.run(jobs)
    usual = len(replays.widths)
    with deterministic_algorithms():
        loop.run(jobs)
    assert len(replays.widths) == 2 * usual > 0  # plain runs come first again


def test_passes_that_train_on_padding_run_as_they_are(llama: FrozenLM, replays: Replays) -> None:
    jobs = [replace(each, recipe=PROFILES["paper"], decode=False) for each in JOBS[:2]]
    expected = BatchedInnerLoop(llama).run(jobs)
    for mine, other in zip(BatchedInnerLoop(llama, graphs=True).run(jobs), expected, strict=True):
        assert_same(mine, other)
    assert replays.widths == []


def layout(*pieces: tuple[int, int]) -> Layout:
    """Of sequences of these lengths for these slots, all supervised but the first token of each."""
    found = Layout()
    for owner, (length, slot) in enumerate(pieces):
        start = found.tokens
        found.pieces.append(Piece(list(range(length)), length, slot))
        found.positions += range(start, start + length - 1)
        found.labels += [1] * (length - 1)
        found.shares += [0.5] * (length - 1)
        found.owners += [owner] * (length - 1)
    return found


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (((36, 0), (36, 1)), Shape(128, 8, 64, 128, (0, 1))),
        (((135, 2), (36, 3)), Shape(192, 8, 256, 192, (2, 3))),
        (((36, 0), (36, 2)), Shape(128, 8, 64, 128, (0, 2))),
        (tuple((47, slot) for slot in range(32)), Shape(1536, 40, 64, 1536, tuple(range(32)))),
    ],
)
def test_shape_of_a_pass(pieces: tuple[tuple[int, int], ...], expected: Shape) -> None:
    mine = layout(*pieces)
    assert shape_of(mine, [slot for _, slot in pieces]) == expected
    full = padded(mine, expected, 7)
    assert (full.tokens, len(full.positions)) == (expected.tokens, expected.supervised)
    assert len(full.pieces) <= expected.sequences
    assert sum(full.shares) == sum(mine.shares)
    assert {piece.slot for piece in full.pieces} == {slot for _, slot in pieces}


@pytest.mark.parametrize("tokens", [1, 64, 65, 513, 774, 1449, 2048])
def test_padding_is_an_eighth_at_most(tokens: int) -> None:
    assert tokens <= rounded(tokens) <= max(64 + tokens, tokens * 9 / 8)


@pytest.mark.skipif(
    Version(version("transformers")) < Version("5.17"), reason="older transformers want autocast, which meta tensors lack"
)
@pytest.mark.parametrize("slots", [[0, 1], [0, 2]])
def test_small_passes_run_on_meta_tensors(slots: list[int], llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes, types and strides of the padded pass, as torch's own kernels of a GPU want them."""
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    meta = torch.device("meta")
    with meta:
        model = LlamaForCausalLM(LlamaConfig(**SHAPE)).bfloat16().requires_grad_(False)
    packed = PackedModel(replace(llama, model=model, device=meta, inner_loops={}), LoraSpec(8, 16.0), graphs=True)
    passes = SmallPasses(packed, LoraStack(packed.spec, packed.layers, 3, learn=True), 0)
    mine = layout((30, slots[0]), (60, slots[1]))
    assert passes.takes(mine, slots)
    losses = [passes.run(mine, slots) for _ in range(PLAIN_RUNS)]
    assert [(each.shape, each.dtype) for each in losses] == [((2,), torch.float32)] * PLAIN_RUNS


class User:
    graphs = True
    stream: torch.cuda.Stream | None = None


def test_work_is_recorded_when_it_recurs(replays: Replays) -> None:
    recorder, x = Recorder(User(), CPU), torch.zeros(3)
    found = [recorder.run("key", lambda: 2 * x, [x] if n == 0 else [torch.full((3,), float(n))]) for n in range(5)]
    assert [each.tolist() for each in found] == [[2.0 * n] * 3 for n in range(5)]
    assert len(replays.widths) == 5 - PLAIN_RUNS


def test_recording_that_fails_leaves_the_work_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "record", fails)
    user, x = User(), torch.ones(2)
    recorder = Recorder(user, CPU)
    with pytest.warns(RuntimeWarning, match="CUDA graphs are off: recording failed: RuntimeError: operation not permitted"):
        found = [recorder.run("key", lambda: x + 1) for _ in range(5)]
    assert [each.tolist() for each in found] == [[2.0, 2.0]] * 5
    assert not user.graphs
    assert not recorder.knows("key")


def test_cpu_has_no_graphs(llama: FrozenLM) -> None:
    assert not BatchedInnerLoop(llama)._reader.graphs
    assert attention.varlen_kernel() is not None
