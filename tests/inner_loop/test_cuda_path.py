"""What runs on a GPU, as far as a CPU can prove it: torch's grouped product, kernels written out, and meta tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import pytest
import torch
from packaging.version import Version
from torch.nn import functional
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks.architectures.matrix import JOBS as ARCHITECTURE_JOBS
from benchmarks.architectures.matrix import tiny_base
from seal_env.inner_loop.batched import decode, evaluate, fused, key_cache, lora, packed_model
from seal_env.inner_loop.batched.attention import VariableLengthAttention, varlen_kernel
from seal_env.inner_loop.batched.decode import QueryInSlot, WrongAnswer
from seal_env.inner_loop.batched.fused import FusedRMSNorm, FusedSwiGLU, fuse
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce, OneByOne, choose_products
from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import BASE, Piece, pack
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.types import PROFILES, LoraSpec
from tests.inner_loop.test_batched_inner_loop import JOBS, assert_same

PLAIN_JOBS = ARCHITECTURE_JOBS["lora"]
WINDOWS: list[tuple[int, int]] = []


def varlen(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, q_bounds: Any, k_bounds: Any, q_most: int, k_most: int,
    *, scale: float | None, window_size: tuple[int, int], enable_gqa: bool = True,
) -> torch.Tensor:  # fmt: skip
    """torch's kernel, sequence by sequence, as torch 2.13 declares it."""
    bounds = [list(pairwise(each.tolist())) for each in (q_bounds, k_bounds)]
    assert [max(stop - start for start, stop in each) for each in bounds] == [q_most, k_most]
    assert enable_gqa or q.shape[1] == k.shape[1]
    WINDOWS.append(window_size)
    parts = []
    for mine, its in zip(*bounds, strict=True):
        query, key, value = (x.transpose(0, 1)[None] for x in (q[slice(*mine)], k[slice(*its)], v[slice(*its)]))
        before = torch.arange(query.shape[2])[:, None] - torch.arange(key.shape[2])
        seen = (before <= window_size[0]) & (before >= 0) if window_size[0] >= 0 else None
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=seen, is_causal=window_size == (-1, 0), scale=scale, enable_gqa=True
        )
        parts.append(mixed[0].transpose(0, 1))
    return torch.cat(parts)


def varlen_of_torch_2_11(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, q_bounds: Any, k_bounds: Any, q_most: int, k_most: int,
    *, return_aux: Any = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
) -> torch.Tensor:  # fmt: skip
    """The same without `enable_gqa`, which came later."""
    assert return_aux is None
    return varlen(q, k, v, q_bounds, k_bounds, q_most, k_most, scale=scale, window_size=window_size)


def attend_with(kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (packed_model, decode):
        monkeypatch.setattr(module, "attention_over", lambda packed, _: VariableLengthAttention(packed, kernel))


@pytest.mark.parametrize("kernel", [varlen, varlen_of_torch_2_11])
@pytest.mark.parametrize("profile", ["fixed", "paper"])
def test_kernels_of_a_gpu_do_the_same(
    profile: str, kernel: Callable[..., Any], base: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [replace(each, recipe=PROFILES[profile]) for each in JOBS[:5]]
    expected = BatchedInnerLoop(base).run(jobs)
    WINDOWS.clear()
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    attend_with(kernel, monkeypatch)
    for mine, other in zip(BatchedInnerLoop(base).run(jobs), expected, strict=True):
        assert_same(mine, other)
    assert set(WINDOWS) == ({(-1, 0)} if profile == "fixed" else {(-1, 0), (-1, -1)})


LENGTHS: list[int] = []


def silu_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    LENGTHS.append(a.shape[-2])
    return functional.silu(a) * b


def test_kernels_of_a_gpu_have_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_base("Gemma 3")
    expected = BatchedInnerLoop(base).run(PLAIN_JOBS)
    WINDOWS.clear()
    attend_with(varlen, monkeypatch)
    for mine, other in zip(BatchedInnerLoop(base).run(PLAIN_JOBS), expected, strict=True):
        assert_same(mine, other)
    assert set(WINDOWS) == {(15, 0), (-1, 0)}


def test_fused_layers_do_the_same(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def fused_copy(model: Any) -> Any:
        copied = share(model)
        assert len(fuse(copied, silu_product)) == 3 * model.config.num_hidden_layers + 1
        return copied

    expected = BatchedInnerLoop(llama).run(JOBS[:2])
    monkeypatch.setattr(packed_model, "share", fused_copy)
    monkeypatch.setattr(fused, "FUSED_TOKENS", 300)  # training passes are longer, single tokens shorter
    loop = BatchedInnerLoop(llama)
    for mine, other in zip(loop.run(JOBS[:2]), expected, strict=True):
        assert_same(mine, other)
    kinds = {type(module) for module in loop._model(JOBS[0].lora).model.modules()}
    assert {FusedRMSNorm, FusedSwiGLU} <= kinds
    assert max(LENGTHS) >= 300


SHAPE: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 16, "vocab_size": 64,
}  # fmt: skip


def test_layers_that_compute_something_else_stay() -> None:
    assert fuse(GemmaForCausalLM(GemmaConfig(**SHAPE)), silu_product) == []  # 1 + weight, and GELU
    llama = LlamaForCausalLM(LlamaConfig(**SHAPE))
    llama.model.norm.forward = lambda x: 2 * x
    llama.model.layers[1].mlp.act_fn = torch.nn.SiLU(inplace=True)
    assert "model.norm" not in fuse(llama, lambda a, b: functional.gelu(a) * b)
    assert not [name for name, module in llama.named_modules() if isinstance(module, FusedSwiGLU)]


def test_fused_layers_keep_names_and_order_of_parameters() -> None:
    llama = LlamaForCausalLM(LlamaConfig(**SHAPE))
    before = list(llama.named_parameters())
    assert fuse(llama, silu_product)
    after = list(llama.named_parameters())
    assert [name for name, _ in after] == [name for name, _ in before]
    assert all(ours is theirs for (_, ours), (_, theirs) in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("major", "sizes", "expected"),
    [
        (9, (8, 64), AllAtOnce),
        (10, (8, 64), AllAtOnce),
        (8, (8, 64), OneByOne),
        (12, (8, 64), OneByOne),
        (9, (8, 12), OneByOne),
    ],
)
def test_grouped_product_runs_where_torch_has_one_kernel_for_it(
    major: int, sizes: tuple[int, ...], expected: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu:
        dtype, device = torch.bfloat16, torch.device("cuda")

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (major, 0))
    weights: Any = OnGpu()
    assert isinstance(choose_products(weights, sizes), expected)


def test_decoding_takes_parts_that_fit_into_memory() -> None:
    states = [(torch.zeros(2, 30, 8), torch.zeros(2, 30, 8))]
    encoded: Any = type("Encoded", (), {"prompt_T": (0,) * 30, "gold_T": (0,)})()
    query: Any = None
    wrong = [(n, WrongAnswer(QueryInSlot(query, encoded, 0, True, 0), 0, 0, states)) for n in range(5)]
    row = (30 + key_cache.ROOM) * 2 * 2 * 8 * 4  # positions, keys and values, heads, width, bytes
    room = 2 * row / evaluate.STATES_SHARE
    assert [len(part) for part in evaluate._parts_in_memory(wrong, int(room) + 1)] == [2, 2, 1]
    assert [len(part) for part in evaluate._parts_in_memory(wrong, 1)] == [1] * 5


def test_slots_that_are_neighbours_are_one_block() -> None:
    def block(*slots: int) -> slice | None:
        return pack([Piece([1, 2], 2, slot) for slot in slots], torch.device("cpu")).block

    assert (block(3, 4, 5), block(2), block(BASE)) == (slice(3, 6), slice(2, 3), None)
    assert block(0, 2) is None
    assert block(1, 0) is None


@pytest.mark.parametrize("slots", [(2, 3), (3, 1), (2, 2)])
def test_grouped_products_of_a_block_are_those_of_single_slots(slots: tuple[int, int]) -> None:
    packed = pack(
        [Piece([1] * length, length, slot) for length, slot in zip((5, 9), slots, strict=True)], torch.device("cpu")
    )
    generator = torch.Generator().manual_seed(0)
    x, left = torch.randn(14, 16, generator=generator), torch.randn(14, 8, generator=generator)
    weights = torch.randn(4, 16, 8, generator=generator)
    torch.testing.assert_close(AllAtOnce().multiply(x, weights, packed), OneByOne().multiply(x, weights, packed))
    ours, theirs = torch.ones(4, 8, 16), torch.ones(4, 8, 16)
    AllAtOnce().add_outer(ours, left, x, packed)
    OneByOne().add_outer(theirs, left, x, packed)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.skipif(
    Version(version("transformers")) < Version("5.17"), reason="older transformers want autocast, which meta tensors lack"
)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("slots", [(0, 1), (1, 0)])
@pytest.mark.parametrize("key_heads", [2, 4])
def test_forward_and_backward_run_on_meta_tensors(
    key_heads: int, slots: tuple[int, int], padded: bool, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes, types and strides as torch's own kernels of a GPU want them."""
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    attend_with(varlen_kernel(), monkeypatch)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, "num_key_value_heads": key_heads})).bfloat16().requires_grad_(False)
    meta = torch.device("meta")
    packed_on_meta = PackedModel(replace(llama, model=model, device=meta, inner_loops={}), LoraSpec(8, 16.0))
    stack = LoraStack(packed_on_meta.spec, packed_on_meta.layers, 2, learn=True)
    pieces = [Piece([0] * 16, 12 if padded else 16, slots[0]), Piece([0] * 7, 7, slots[1])]
    states = packed_on_meta.hidden(pack(pieces, meta), stack)
    labels = torch.zeros(len(states), dtype=torch.long, device=meta)
    total, _ = cross_entropy(states, packed_on_meta.head, labels, torch.ones(len(states), device=meta))
    total.backward()
    assert (states.shape, states.dtype, total.dtype) == ((23, 64), torch.bfloat16, torch.float32)
