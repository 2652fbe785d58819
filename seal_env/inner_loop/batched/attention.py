"""Attention over packed sequences: never from one to another; padding sees its sequence's real tokens and no padding."""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Protocol

import torch
from torch.nn import functional
from transformers import AttentionInterface

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.packing import Packed

NAME = "seal_env_packed"
"""The name under which transformers finds this attention."""


class Attention(Protocol):
    """Mixes values: query [1, heads, T, d], key and value [1, key heads, T, d] -> [1, T, heads, d]."""

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """One layer's attention."""
        ...


CURRENT: ContextVar[Attention] = ContextVar("attention")


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Called by transformers instead of its own attention."""
    if sliding_window is not None:
        raise ModelError(f"attention in windows of {sliding_window} tokens does not run packed. Use inner_loop='reference'")
    return CURRENT.get()(module.layer_idx, query, key, value, scaling), None


AttentionInterface.register(NAME, _attend)


def attention_over(packed: Packed) -> Attention:
    """One kernel for all sequences where torch has one for this device, otherwise one call for each run of equal lengths."""
    kernel = _kernel() if packed.ids.is_cuda else None
    return _AttentionByRuns(packed) if kernel is None else VariableLengthAttention(packed, kernel)


def _kernel() -> Any:
    try:
        return import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):
        return None


class _AttentionByRuns:
    def __init__(self, packed: Packed) -> None:
        self._runs = packed.runs

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        del layer
        parts = []
        pieces = (x[0].split([run.count * run.length for run in self._runs], dim=1) for x in (query, key, value))
        for run, *states in zip(self._runs, *pieces, strict=True):
            q, k, v = (x.unflatten(1, (run.count, run.length)).transpose(0, 1) for x in states)
            real = run.real
            mixed = _mix(q[:, :, :real], k[:, :, :real], v[:, :, :real], scale, causal=True)
            if real < run.length:
                padding = _mix(q[:, :, real:], k[:, :, :real], v[:, :, :real], scale, causal=False)
                mixed = torch.cat([mixed, padding], dim=2)
            parts.append(mixed.transpose(1, 2).flatten(0, 1))
        return torch.cat(parts)[None]


def _mix(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None, causal: bool) -> torch.Tensor:
    """Attention within each sequence, [sequences, heads, length, d]; keys may have fewer heads, or another length."""
    grouped = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scale, enable_gqa=grouped)


class VariableLengthAttention:
    """All sequences in one call of torch's `varlen_attn`; the padding of all in another."""

    def __init__(self, packed: Packed, kernel: Any) -> None:
        self._kernel = kernel
        # Before torch 2.12 the kernel has no such argument and accepts fewer key heads than query heads without it.
        self._has_gqa_flag = "enable_gqa" in inspect.signature(kernel).parameters
        device = packed.ids.device
        sequences = [(run.start + n * run.length, run.length, run.real) for run in packed.runs for n in range(run.count)]
        self._real = _Part([range(start, start + real) for start, _, real in sequences], device)
        self._padding = _Part([range(start + real, start + length) for start, length, real in sequences], device)

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """See Attention."""
        del layer
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        real, padding = self._real, self._padding
        if not padding.longest:
            return self._call(q, k, v, real, scale, (-1, 0))[None]
        k, v = k[real.tokens], v[real.tokens]
        mixed = torch.cat(
            [
                self._call(q[real.tokens], k, v, real, scale, (-1, 0)),
                self._call(q[padding.tokens], k, v, padding, scale, (-1, -1)),
            ]
        )
        return mixed[torch.cat([real.tokens, padding.tokens]).argsort()][None]

    def _call(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, asking: _Part, scale: float | None, window: tuple[int, int]
    ) -> torch.Tensor:
        grouped = {"enable_gqa": q.shape[1] != k.shape[1]} if self._has_gqa_flag else {}
        mixed: torch.Tensor = self._kernel(
            q.contiguous(),
            k.contiguous(),
            v.contiguous(),
            asking.bounds,
            self._real.bounds,
            asking.longest,
            self._real.longest,
            scale=scale,
            window_size=window,
            **grouped,
        )
        return mixed


class _Part:
    """A part of each sequence. tokens: its indices. bounds: int32 [sequences + 1], where each begins among them."""

    def __init__(self, parts: list[range], device: torch.device) -> None:
        lengths = torch.tensor([0, *map(len, parts)], dtype=torch.int32)
        self.longest = max(map(len, parts))
        self.bounds = lengths.cumsum(0, dtype=torch.int32).to(device)
        self.tokens = torch.tensor([token for part in parts for token in part], dtype=torch.long, device=device)
