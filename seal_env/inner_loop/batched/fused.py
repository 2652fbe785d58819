"""Fused functions in place of a model's own chains of elementwise operations, which most of its memory traffic is for.

On a GPU, RMS normalisation is torch's, SwiGLU is Liger Kernel's (extra `gpu`) where that is installed, and the rotary
embedding is a kernel in Triton. On a CPU, all three are in `seal_env.inner_loop.batched.elementwise`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any

import torch
from torch.nn import functional

SAMPLE_ROWS = 4
DIFFERENCE_LIMITS = {torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Limits on how far a fused module may be from the model's own, relative in the Euclidean norm; 1e-5 for other types."""

FUSED_TOKENS = 2048
"""A kernel of Triton pays from about so many tokens on, unless it is part of a CUDA graph: it takes longer to launch."""

Norm = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Rotation = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
ROTATION = "apply_rotary_pos_emb"
"""What transformers' attention modules call their rotary embedding."""


def torch_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMS normalisation by torch, computed in fp32 and rounded once."""
    return functional.rms_norm(x, weight.shape, weight, epsilon)


class FusedRMSNorm(torch.nn.Module):
    """x / rms(x) * weight over the last dimension (arXiv 1910.07467) in one function."""

    def __init__(self, weight: torch.nn.Parameter, epsilon: float, norm: Norm) -> None:
        super().__init__()
        self.weight, self.epsilon, self._norm = weight, epsilon, norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., width] -> [..., width]."""
        return self._norm(x, self.weight, self.epsilon)


class FusedSwiGLU(torch.nn.Module):
    """down(silu(gate(x)) * up(x)) with one kernel for what stands between the linear layers (arXiv 2002.05202)."""

    def __init__(self, own: Any, product: Product) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj, self._product = own.gate_proj, own.up_proj, own.down_proj, product
        self.least_tokens = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., width] -> [..., width]."""
        product = self._product if x.shape[:-1].numel() >= self.least_tokens else _silu_product
        y: torch.Tensor = self.down_proj(product(self.gate_proj(x), self.up_proj(x)))
        return y


def fuse(
    model: torch.nn.Module,
    silu_product: Product | None = None,
    rotation: Rotation | None = None,
    norm: Norm | None = torch_norm,
    least_tokens: int | None = None,
    exactly: bool = False,
) -> list[str]:
    """Replace a model's RMS normalisations, SwiGLU layers and rotary embeddings.

    Those that compute something else (Gemma's 1 + weight) stay.

    Args:
        model: Changed in place. Names, parameters and their order stay the same.
        silu_product: Computes silu(a) * b and may overwrite a and b in the backward pass. None leaves SwiGLU as it is.
        rotation: Rotates queries [1, heads, T, d] and keys by cos and sin [1, T, d]. None leaves them to the model.
        norm: Normalises x [..., width] with a weight and an epsilon. None leaves norms as they are.
        least_tokens: From how many tokens on `silu_product` is used; None is FUSED_TOKENS.
        exactly: Replace only what gives the same numbers bit by bit, not those apart from rounding.

    Returns:
        The names of what was replaced.
    """
    fused = []
    for name, module in list(model.named_modules()):
        replacement: torch.nn.Module | None = _fused_norm(module, norm) if norm else None
        if replacement is None and silu_product:
            replacement = _fused_swiglu(module, silu_product)
        if replacement is not None and _agree(module, replacement, exactly):
            if isinstance(replacement, FusedSwiGLU):
                replacement.least_tokens = FUSED_TOKENS if least_tokens is None else least_tokens
            model.set_submodule(name, replacement.train(module.training))
            fused.append(name)
        elif rotation is not None and _rotate_with(module, rotation, exactly):
            fused.append(name)
    return fused


def liger_silu_product() -> Product | None:
    """Liger Kernel's silu(a) * b; None if it is not installed."""
    try:
        function = import_module("liger_kernel.ops.swiglu").LigerSiLUMulFunction
    except ImportError:
        return None
    return function.apply  # type: ignore[no-any-return]


def _silu_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functional.silu(a) * b


def _fused_norm(module: Any, norm: Norm) -> FusedRMSNorm | None:
    weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
    if not type(module).__name__.endswith("RMSNorm") or epsilon is None or not isinstance(weight, torch.nn.Parameter):
        return None
    return FusedRMSNorm(weight, float(epsilon), norm)


def _fused_swiglu(module: Any, product: Product) -> FusedSwiGLU | None:
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    if not all(isinstance(part, torch.nn.Linear) for part in parts):
        return None
    return FusedSwiGLU(module, product) if type(getattr(module, "act_fn", None)).__name__.startswith("SiLU") else None


def _rotate_with(module: Any, rotation: Rotation, exactly: bool) -> bool:
    """Have an attention module rotate with this; False if its own rotation is another, or of a kind that is not known."""
    forward = inspect.unwrap(type(module).forward)
    own = getattr(forward, "__globals__", {}).get(ROTATION)
    names = getattr(getattr(forward, "__code__", None), "co_names", ())
    if own is None or ROTATION not in names or forward is not type(module).forward or "forward" in vars(module):
        return False
    if not _rotations_agree(own, rotation, next(module.parameters()), exactly):
        return False

    def rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *rest: Any, **named: Any) -> Any:
        alone = not rest and not named and q.shape[0] == 1 and cos.shape == (1, q.shape[2], q.shape[3]) == sin.shape
        fits = alone and q.shape[2:] == k.shape[2:] and q.dtype == k.dtype == cos.dtype
        return rotation(q, k, cos, sin) if fits else own(q, k, cos, sin, *rest, **named)

    changed = FunctionType(
        forward.__code__,
        forward.__globals__ | {ROTATION: rotate},
        forward.__name__,
        forward.__defaults__,
        forward.__closure__,
    )
    changed.__kwdefaults__ = forward.__kwdefaults__
    module.forward = MethodType(changed, module)
    return True


@torch.no_grad()
def _rotations_agree(own: Any, rotation: Rotation, weight: torch.Tensor, exactly: bool) -> bool:
    """True if both rotate a few random heads to the same values."""
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, heads, SAMPLE_ROWS, 16, generator=generator).to(weight) for heads in (2, 1))
    angles = torch.randn(1, SAMPLE_ROWS, 8, generator=generator).repeat(1, 1, 2)
    cos, sin = angles.cos().to(weight), angles.sin().to(weight)
    try:
        theirs = own(q.clone(), k.clone(), cos, sin)
    except (RuntimeError, TypeError, ValueError):  # other arguments, or other shapes
        return False
    ours = rotation(q, k, cos, sin)
    return len(theirs) == 2 and all(_same(a, b, exactly) for a, b in zip(ours, theirs, strict=True))


@torch.no_grad()
def _agree(module: Any, replacement: torch.nn.Module, exactly: bool) -> bool:
    """True if both give a few random rows the same values."""
    weight = next(module.parameters())
    x = torch.randn(1, SAMPLE_ROWS, weight.shape[-1], generator=torch.Generator().manual_seed(0)).to(weight)
    try:
        theirs = module(x)
    except (RuntimeError, TypeError, ValueError):  # other arguments, or other shapes
        return False
    return _same(replacement(x), theirs, exactly)


def _same(ours: torch.Tensor, theirs: torch.Tensor, exactly: bool) -> bool:
    """True for the same values, apart from rounding unless they are to be the same exactly."""
    if exactly or ours.shape != theirs.shape:
        return torch.equal(ours, theirs)
    limit = DIFFERENCE_LIMITS.get(theirs.dtype, 1e-5)
    return bool((ours.double() - theirs.double()).norm() <= limit * theirs.double().norm())
