"""Kernels in Triton for what torch does in many passes over memory. Imported only where Triton is installed.

With TRITON_INTERPRET=1 they run on a CPU.
"""

# Triton compiles the annotations of its arguments, which may name no type of Python.
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl

ENTROPY_COLUMNS, ADAMW_BLOCK, STORE_BLOCK = 8192, 2048, 2048


@triton.jit
def _rotate_heads(
    x, y, x_token, x_head, y_token, cos_1, cos_2, sin_1, sin_2,
    HEADS: tl.constexpr, HEADS_UP: tl.constexpr, HALF: tl.constexpr, HALF_UP: tl.constexpr, BACKWARD: tl.constexpr,
):  # fmt: skip
    """One token's heads: x at token x_token, heads x_head apart; y [HEADS, 2 HALF] at token y_token."""
    head, column = tl.arange(0, HEADS_UP)[:, None], tl.arange(0, HALF_UP)[None, :]
    inside = (head < HEADS) & (column < HALF)
    source, target = x + x_token + head * x_head + column, y + y_token + head * 2 * HALF + column
    left = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    right = tl.load(source + HALF, mask=inside, other=0.0).to(tl.float32)
    if BACKWARD:
        tl.store(target, left * cos_1 + right * sin_2, mask=inside)
        tl.store(target + HALF, right * cos_2 - left * sin_1, mask=inside)
    else:
        tl.store(target, left * cos_1 - right * sin_1, mask=inside)
        tl.store(target + HALF, right * cos_2 + left * sin_2, mask=inside)


@triton.jit
def _rotate_kernel(
    q, k, cos, sin, q_out, k_out,
    q_token, q_head, k_token, k_head, cos_token, sin_token,
    HEADS: tl.constexpr, HEADS_UP: tl.constexpr, KEY_HEADS: tl.constexpr, KEY_HEADS_UP: tl.constexpr,
    HALF: tl.constexpr, HALF_UP: tl.constexpr, BACKWARD: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, HALF_UP)[None, :]
    inside = column < HALF
    cos_at, sin_at = cos + token * cos_token + column, sin + token * sin_token + column
    cos_1 = tl.load(cos_at, mask=inside, other=0.0).to(tl.float32)
    cos_2 = tl.load(cos_at + HALF, mask=inside, other=0.0).to(tl.float32)
    sin_1 = tl.load(sin_at, mask=inside, other=0.0).to(tl.float32)
    sin_2 = tl.load(sin_at + HALF, mask=inside, other=0.0).to(tl.float32)
    _rotate_heads(
        q, q_out, token * q_token, q_head, token * (HEADS * 2 * HALF), cos_1, cos_2, sin_1, sin_2,
        HEADS, HEADS_UP, HALF, HALF_UP, BACKWARD,
    )  # fmt: skip
    _rotate_heads(
        k, k_out, token * k_token, k_head, token * (KEY_HEADS * 2 * HALF), cos_1, cos_2, sin_1, sin_2,
        KEY_HEADS, KEY_HEADS_UP, HALF, HALF_UP, BACKWARD,
    )  # fmt: skip


@triton.jit
def _cross_entropy_kernel(logits, labels, shares, losses, columns, BLOCK: tl.constexpr):
    """A row of logits becomes its gradient, computed in fp32; the softmax's sum is taken as the row is read."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * columns
    label, share = tl.load(labels + row), tl.load(shares + row).to(tl.float32)
    highest, total = float("-inf"), 0.0
    for start in range(0, columns, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(logits + column, mask=column < columns, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(highest, tl.max(x, 0))
        total = total * tl.exp(highest - higher) + tl.sum(tl.exp(x - higher), 0)
        highest = higher
    norm = highest + tl.log(total)
    tl.store(losses + row, norm - tl.load(logits + label).to(tl.float32))
    tl.debug_barrier()  # the label's logit is read before it is overwritten
    for start in range(0, columns, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(logits + column, mask=column < columns, other=float("-inf")).to(tl.float32)
        odds = tl.exp(x - norm)
        tl.store(logits + column, tl.where(column == label, odds - 1, odds) * share, mask=column < columns)


@triton.jit
def _adamw_kernel(
    weights, used, gradients, first, second, slots, clips, numbers, size,
    BETA_1: tl.constexpr, BETA_2: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at, inside = tl.load(slots + row) * size + column, column < size
    kept, rate = tl.load(numbers + 5 * row), tl.load(numbers + 5 * row + 1)
    root, epsilon = tl.load(numbers + 5 * row + 2), tl.load(numbers + 5 * row + 3)
    gradient = tl.load(gradients + at, mask=inside).to(tl.float32) * tl.load(clips + row)
    mean, square = tl.load(first + at, mask=inside), tl.load(second + at, mask=inside)
    mean = BETA_1 * mean + (1 - BETA_1) * gradient
    square = BETA_2 * square + (1 - BETA_2) * gradient * gradient
    weight = kept * tl.load(weights + at, mask=inside) - rate * mean / (tl.sqrt(square) * root + epsilon)
    tl.store(first + at, mean, mask=inside)
    tl.store(second + at, square, mask=inside)
    tl.store(weights + at, weight, mask=inside)
    tl.store(used + at, weight, mask=inside)


@triton.jit
def _store_kernel(product, total, slots, size, slot_size, FIRST: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside, target = column < size, total + tl.load(slots + row) * slot_size + column
    value = tl.load(product + row * size + column, mask=inside)
    if not FIRST:
        value = value.to(tl.float32) + tl.load(target, mask=inside).to(tl.float32)
    tl.store(target, value, mask=inside)


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(cos, sin)
        return _launch_rotate(q, k, cos, sin, backward=False)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return (*_launch_rotate(gradients[0], gradients[1], cos, sin, backward=True), None, None)


def rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotary embedding of halves (arXiv 2104.09864), computed in fp32 and rounded once.

    Args:
        q: Queries, [1, heads, T, d].
        k: Keys, [1, key heads, T, d].
        cos: [1, T, d].
        sin: [1, T, d].
    """
    turned: tuple[torch.Tensor, torch.Tensor] = _Rotate.apply(q, k, cos, sin)  # type: ignore[no-untyped-call]
    return turned


def _launch_rotate(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, backward: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    q, k, cos, sin = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, cos, sin))
    tokens, half, up = q.shape[2], q.shape[3] // 2, triton.next_power_of_2
    outputs = [torch.empty(1, tokens, x.shape[1], x.shape[3], dtype=x.dtype, device=x.device) for x in (q, k)]
    strides = (q.stride(2), q.stride(1), k.stride(2), k.stride(1), cos.stride(1), sin.stride(1))
    heads = (q.shape[1], up(q.shape[1]), k.shape[1], up(k.shape[1]))
    with _device_of(q):
        _rotate_kernel[(tokens,)](q, k, cos, sin, *outputs, *strides, *heads, half, up(half), backward)
    return outputs[0].transpose(1, 2), outputs[1].transpose(1, 2)


def cross_entropy_in_place(logits: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, losses: torch.Tensor) -> None:
    """Cross-entropy of each row, and its gradient in place of the logits.

    Args:
        logits: [N, vocabulary], contiguous; becomes the gradient of the sum of losses times shares.
        labels: [N].
        shares: [N].
        losses: fp32 [N], written.
    """
    assert logits.is_contiguous()
    with _device_of(logits):
        _cross_entropy_kernel[(len(logits),)](
            logits, labels, shares, losses, logits.shape[1], BLOCK=ENTROPY_COLUMNS, num_warps=16
        )


def adamw_of_slots(
    weights: torch.Tensor,
    used: torch.Tensor,
    gradients: torch.Tensor,
    state: tuple[torch.Tensor, torch.Tensor],
    slots: torch.Tensor,
    clips: torch.Tensor,
    numbers: torch.Tensor,
    betas: tuple[float, float],
) -> None:
    """One AdamW step of several rows of weights at once, each with numbers of its own.

    Args:
        weights: fp32 [slots, parameters], changed.
        used: The weights once more, in any type, changed with them.
        gradients: [slots, parameters].
        state: First and second moments, fp32 [slots, parameters], changed.
        slots: The rows that take a step, int64 [rows].
        clips: What each row's gradient is multiplied with, fp32 [rows].
        numbers: fp32 [rows, 5]: the share of the weights that decay leaves, the learning rate over the first moment's
            correction, one over the root of the second moment's correction, epsilon, and one that is not read.
        betas: Of the moments.
    """
    size = weights.shape[1]
    with _device_of(weights):
        _adamw_kernel[(triton.cdiv(size, ADAMW_BLOCK), len(slots))](
            weights, used, gradients, *state, slots, clips, numbers, size, *betas, BLOCK=ADAMW_BLOCK, num_warps=8
        )


def store_products(total: torch.Tensor, product: torch.Tensor, slots: torch.Tensor, first: bool) -> None:
    """Write products of several slots to where they belong.

    Args:
        total: [slots, n, m], in one piece within a slot; changed.
        product: [rows, n, m].
        slots: The slot of each product, int64 [rows].
        first: True writes over what is there, False adds to it.
    """
    product = product.contiguous()
    size = product[0].numel()
    with _device_of(total):
        _store_kernel[(triton.cdiv(size, STORE_BLOCK), len(product))](
            product, total, slots, size, total.stride(0), FIRST=first, BLOCK=STORE_BLOCK
        )


def _device_of(x: torch.Tensor) -> AbstractContextManager[Any]:
    """Triton starts kernels on the current device."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
