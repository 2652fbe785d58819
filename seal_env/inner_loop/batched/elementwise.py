"""RMS normalisation, rotary embedding and SwiGLU on a CPU: transformers' numbers bit by bit, with fewer passes over memory.

Each function does the arithmetic of transformers' chain of operations in the same order, forward and backward, but in place
and without the copies that autograd makes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from seal_env.inner_loop.batched.fused import fuse
from seal_env.inner_loop.batched.kernels import LEFT_OUT


class _RMSNorm(torch.autograd.Function):
    """Given x twice: the parts of its gradient are then added in the order in which autograd adds those of the chain."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, _again: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        root = (x.pow(2).mean(-1, keepdim=True) + epsilon).rsqrt_()
        ctx.save_for_backward(x, root, weight)
        return (x * root).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, root, weight = ctx.saved_tensors
        direct = gradients[0] * weight
        through_root = direct * x
        slope = -0.5 * through_root.sum(-1, keepdim=True) * root.pow(3)
        torch.mul(x, slope / x.shape[-1] * 2, out=through_root)
        return direct.mul_(root), through_root, None, None


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMS normalisation over the last dimension (arXiv 1910.07467), [..., width] -> [..., width]."""
    if weight.requires_grad:
        return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))
    y: torch.Tensor = _RMSNorm.apply(x, x, weight, epsilon)  # type: ignore[no-untyped-call]
    return y


class _Rotation(torch.autograd.Function):
    """x [1, T, heads, d] times cos, plus x with its halves exchanged times the sine with its sign, both [1, T, 1, d]."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, signed: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, signed)
        return (x * cos).add_(_exchanged(x).mul_(signed))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, signed = ctx.saved_tensors
        return (gradients[0] * cos).add_(_exchanged(gradients[0]).mul_(_exchanged(signed))), None, None


def _exchanged(x: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return torch.cat((right, left), -1)


def rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rotary embedding (arXiv 2104.09864) of queries and keys [1, heads, T, d] by cos and sin [1, T, d]."""
    left, right = sin.chunk(2, -1)
    signed = torch.cat((-left, right), -1).unsqueeze(2)
    q, k = (_Rotation.apply(x.transpose(1, 2), cos.unsqueeze(2), signed).transpose(1, 2) for x in (q, k))  # type: ignore[no-untyped-call]
    return q, k


class _SiluProduct(torch.autograd.Function):
    """See `silu_product`. The backward pass works in the tensors that the forward pass has kept."""

    @staticmethod
    def forward(ctx: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        silu = functional.silu(a)
        ctx.save_for_backward(a, b, silu)
        return silu * b

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, b, silu = ctx.saved_tensors
        of_a = gradients[0] * b
        of_b = torch.mul(gradients[0], silu, out=silu)
        torch.ops.aten.silu_backward.grad_input(of_a, a, grad_input=of_a)
        return of_a, of_b


def silu_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """silu(a) * b. It can be differentiated once."""
    y: torch.Tensor = _SiluProduct.apply(a, b)  # type: ignore[no-untyped-call]
    return y


def fuse_on_cpu(model: torch.nn.Module) -> list[str]:
    """Have a model use these functions where they compute, bit by bit, what it computes itself.

    Args:
        model: In fp32; others stay as they are. Changed in place as by `fuse`.

    Returns:
        The names of what was replaced.
    """
    if next(model.parameters()).dtype != torch.float32:
        return []
    ways = {"norm": rms_norm, "swiglu": silu_product, "rotary": rotate}
    norm, swiglu, rotary = (None if name in LEFT_OUT else way for name, way in ways.items())
    return fuse(model, swiglu, rotary, norm, least_tokens=0, exactly=True)  # type: ignore[arg-type]
