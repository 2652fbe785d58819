"""The project's kernels beside torch's: how far both are from fp64, and how long they take at the sizes of Llama-3.2-1B."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch.nn.functional import cross_entropy as exact_cross_entropy
from torch.optim.adamw import adamw
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from benchmarks.inner_loop.kernels import HEADS, RANK, relative_error, wait_for
from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.kernels import LEFT_OUT, find_kernels
from seal_env.inner_loop.optim.adamw import BETAS

TOKENS, SUPERVISED, COMPARED, WIDTH, VOCABULARY = 20_000, 8_000, 256, 2048, 128_256
SLOTS, PARAMETERS, MATRIX = 8, 70_000_000, 128 * 8192
TINY = 1000
"""On a CPU all sizes but the number of slots are so many times smaller."""

RATE, DECAY, EPSILON = 1e-4, 0.01, 1e-8
TRIALS, REPEATED = 5, 5

Numbers = dict[str, float]


def fused_kernels(device: torch.device, dtype: torch.dtype) -> dict[str, Numbers]:
    """Relative errors and milliseconds by kernel; of torch alone where Triton does not run."""
    smaller = 1 if device.type == "cuda" else TINY
    return {
        "rotary": _rotary(device, dtype, TOKENS // smaller),
        "head": _head(device, dtype, SUPERVISED // smaller, VOCABULARY // smaller),
        "optimizer": _optimizer(device, PARAMETERS // smaller),
        "gradients": _gradients(device, dtype, PARAMETERS // smaller, MATRIX // smaller // RANK * RANK),
    }


def _rotary(device: torch.device, dtype: torch.dtype, tokens: int) -> Numbers:
    heads, key_heads, width = HEADS[0]
    states = [
        torch.randn(1, tokens, n, width, device=device, dtype=dtype).transpose(1, 2).requires_grad_()
        for n in (heads, key_heads)
    ]
    halves = torch.randn(1, tokens, width // 2, device=device).repeat(1, 1, 2)
    upstream = [torch.randn_like(x) for x in states]

    def turn(rotation: Any, kind: torch.dtype) -> list[torch.Tensor]:
        turned = rotation(*(x.to(kind) for x in states), halves.to(dtype).cos().to(kind), halves.to(dtype).sin().to(kind))
        return [*turned, *torch.autograd.grad(turned, states, [x.to(kind) for x in upstream])]

    exact = turn(apply_rotary_pos_emb, torch.float64)
    kernels = find_kernels("rotary", device)
    return _beside(
        device,
        lambda: turn(apply_rotary_pos_emb, dtype),
        None if kernels is None else lambda: turn(kernels.rotate, dtype),
        exact,
    )


def _head(device: torch.device, dtype: torch.dtype, count: int, vocabulary: int) -> Numbers:
    states = torch.randn(count, WIDTH, device=device, dtype=dtype, requires_grad=True)
    head = torch.randn(vocabulary, WIDTH, device=device, dtype=dtype) / WIDTH**0.5
    labels, shares = torch.randint(vocabulary, (count,), device=device), torch.rand(count, device=device)

    def loss() -> list[torch.Tensor]:
        total, losses = cross_entropy(states, head, labels, shares)
        return [losses[:COMPARED], torch.autograd.grad(total, states)[0][:COMPARED]]

    def without() -> list[torch.Tensor]:
        with _left_out("head"):
            return loss()

    few = states[:COMPARED].detach().double().requires_grad_()
    # The logits are rounded by both ways, so the gradient is exact for these.
    logits = (states[:COMPARED] @ head.T).detach().double() + few @ head.double().T - (few @ head.double().T).detach()
    losses = exact_cross_entropy(logits, labels[:COMPARED], reduction="none") * shares[:COMPARED]
    exact = [losses, torch.autograd.grad(losses.sum(), few)[0]]
    return _beside(device, without, loss if find_kernels("head", device) else None, exact)


def _optimizer(device: torch.device, parameters: int) -> Numbers:
    start, gradients = (torch.randn(SLOTS, parameters, device=device) for _ in range(2))
    slots = torch.arange(SLOTS, device=device)
    numbers = [1 - RATE * DECAY, RATE / (1 - BETAS[0]), (1 - BETAS[1]) ** -0.5, EPSILON, 1.0]
    kernels = find_kernels("optimizer", device)
    weights, used = start.clone(), start.bfloat16()
    moments = (torch.zeros_like(start), torch.zeros_like(start))

    def reset() -> None:
        weights.copy_(start)
        for moment in moments:
            moment.zero_()

    def single() -> list[torch.Tensor]:
        for slot in range(SLOTS):
            gradient = gradients[slot] * (1 / (gradients[slot].norm() + 1e-6)).clamp(max=1.0)
            first, second, steps = moments[0][slot], moments[1][slot], torch.zeros((), device=device)
            adamw(
                [weights[slot]], [gradient], [first], [second], [], [steps], fused=True, amsgrad=False, beta1=BETAS[0],
                beta2=BETAS[1], lr=RATE, weight_decay=DECAY, eps=EPSILON, maximize=False,
            )  # fmt: skip
            used[slot] = weights[slot]
        return [weights[:, :COMPARED] - start[:, :COMPARED], used[:, :COMPARED].clone()]

    def together() -> list[torch.Tensor]:
        assert kernels is not None
        clips = (1 / (torch.linalg.vector_norm(gradients, dim=1) + 1e-6)).clamp(max=1.0)
        rows = torch.tensor([numbers] * SLOTS, device=device)
        kernels.adamw_of_slots(weights, used, gradients, moments, slots, clips, rows, BETAS)
        return [weights[:, :COMPARED] - start[:, :COMPARED], used[:, :COMPARED].clone()]

    clipped = (gradients / gradients.norm(dim=1, keepdim=True))[:, :COMPARED].double()
    weight = start[:, :COMPARED].double()
    after = weight * (1 - RATE * DECAY) - RATE * clipped / (clipped.abs() + EPSILON)
    return _beside(device, single, together if kernels else None, [after - weight, after], reset)


def _gradients(device: torch.device, dtype: torch.dtype, parameters: int, matrix: int) -> Numbers:
    """Of one layer: products that replace the last step's, in bf16 on a GPU, in place of sums on zeros in fp32."""
    kernels = find_kernels("gradients", device)
    totals = [
        torch.zeros(SLOTS, parameters, device=device, dtype=kind)[:, :matrix].view(SLOTS, RANK, -1)
        for kind in (torch.float32, dtype)
    ]
    product, slots = torch.randn(totals[0].shape, device=device, dtype=dtype), torch.arange(SLOTS, device=device)

    def added() -> list[torch.Tensor]:
        totals[0].zero_()
        totals[0].add_(product)
        return [totals[0][:, :, :COMPARED].clone()]

    def stored() -> list[torch.Tensor]:
        assert kernels is not None
        kernels.store_products(totals[1], product, slots, True)
        return [totals[1][:, :, :COMPARED].clone()]

    return _beside(device, added, stored if kernels else None, [product[:, :, :COMPARED]])


@contextmanager
def _left_out(name: str) -> Iterator[None]:
    LEFT_OUT.add(name)
    try:
        yield
    finally:
        LEFT_OUT.discard(name)


def _beside(
    device: torch.device,
    torchs: Callable[[], list[torch.Tensor]],
    ours: Callable[[], list[torch.Tensor]] | None,
    exact: Sequence[torch.Tensor],
    reset: Callable[[], None] = lambda: None,
) -> Numbers:
    found: Numbers = {}
    for name, compute in (("", ours), ("torch_", torchs)):
        if compute is None:
            continue
        reset()
        found[f"{name}error"] = max(relative_error(mine, right) for mine, right in zip(compute(), exact, strict=True))
        seconds = []
        for _ in range(TRIALS):
            wait_for(device)
            began = time.perf_counter()
            for _ in range(REPEATED):
                compute()
            wait_for(device)
            seconds.append((time.perf_counter() - began) / REPEATED)
        found[f"{name}milliseconds"] = 1000 * median(seconds)
    return found
