"""Norms, rotary embedding and SwiGLU on a CPU: bit by bit what transformers and autograd compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from seal_env.inner_loop.batched.elementwise import fuse_on_cpu, rms_norm, rotate, silu_product
from seal_env.inner_loop.batched.kernels import LEFT_OUT
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from tests.inner_loop.test_batched_inner_loop import JOBS
from tests.inner_loop.test_cuda_path import SHAPE

TOKENS, WIDTH, HEADS, HEAD_WIDTH = 300, 128, 4, 32


def drawn(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def values_and_gradients(compute: Callable[..., Any], *given: torch.Tensor) -> list[torch.Tensor]:
    leaves = [x.clone().requires_grad_() for x in given]
    found = compute(*leaves)
    found = found if isinstance(found, tuple) else (found,)
    return [*found, *torch.autograd.grad(found, leaves, [torch.linspace(-1, 1, x.numel()).view(x.shape) for x in found])]


def norms(learned: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    own: Any = LlamaRMSNorm(WIDTH)
    own.requires_grad_(learned)
    own.weight.data = drawn((WIDTH,))[0]

    def beside(norm: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: 1.5 * x + norm(1.5 * x)

    return beside(own), beside(lambda x: rms_norm(x, own.weight, own.variance_epsilon))


def rotations() -> tuple[Callable[..., Any], Callable[..., Any]]:
    angles = drawn((1, TOKENS, HEAD_WIDTH // 2))[0].repeat(1, 1, 2)
    return tuple(lambda q, k, way=way: way(q, k, angles.cos(), angles.sin()) for way in (apply_rotary_pos_emb, rotate))  # type: ignore[return-value]


X = drawn((1, TOKENS, WIDTH))
Q_K = [x.transpose(1, 2) for x in drawn((1, TOKENS, HEADS, HEAD_WIDTH), (1, TOKENS, 2, HEAD_WIDTH))]
A_B = drawn((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))


@pytest.mark.parametrize(
    ("ways", "given"),
    [
        (norms(learned=False), X),
        (norms(learned=True), X),
        (rotations(), Q_K),
        ((lambda a, b: functional.silu(a) * b, silu_product), A_B),
    ],
    ids=["norm", "norm that learns", "rotation", "swiglu"],
)
def test_values_and_gradients_are_the_same_bit_by_bit(ways: Any, given: list[torch.Tensor]) -> None:
    theirs, ours = (values_and_gradients(way, *given) for way in ways)
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


def test_a_norm_that_learns_gets_its_gradient() -> None:
    weight = torch.ones(WIDTH, requires_grad=True)
    rms_norm(X[0], weight, 1e-6).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.norm() > 0


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    LEFT_OUT.update(names)
    try:
        yield
    finally:
        LEFT_OUT.clear()


@pytest.fixture(scope="module")
def seal_tiny() -> FrozenLM:
    return load_base_model("seal-tiny", "cpu")


def test_losses_and_answers_of_the_bundled_model_do_not_change(seal_tiny: FrozenLM) -> None:
    ours = BatchedInnerLoop(seal_tiny).run(JOBS[:2])
    with left_out("norm", "rotary", "swiglu"):
        theirs = BatchedInnerLoop(seal_tiny).run(JOBS[:2])
    assert [each.losses_S for each in ours] == [each.losses_S for each in theirs]
    assert [each.answers_Q for each in ours] == [each.answers_Q for each in theirs]


@pytest.mark.parametrize(("name", "count"), [("norm", 5), ("rotary", 2), ("swiglu", 2)])
def test_each_can_be_left_out(name: str, count: int) -> None:
    with left_out(name):
        assert len(fuse_on_cpu(LlamaForCausalLM(LlamaConfig(**SHAPE)))) == 5 + 2 + 2 - count


def test_models_that_compute_something_else_keep_their_own() -> None:
    assert fuse_on_cpu(GemmaForCausalLM(GemmaConfig(**SHAPE))) == ["model.layers.0.self_attn", "model.layers.1.self_attn"]
    assert fuse_on_cpu(LlamaForCausalLM(LlamaConfig(**SHAPE)).bfloat16()) == []
