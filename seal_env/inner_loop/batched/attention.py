"""Attention over packed sequences: never from one to another; padding sees its sequence's real tokens and no padding.

With a window of W tokens, a token sees itself and the W - 1 before it.
"""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch.nn import functional
from transformers import AttentionInterface

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.packing import Packed, Run, on_device
from seal_env.inner_loop.model.devices import is_nvidia

NAME = "seal_env_packed"
HALF = (torch.bfloat16, torch.float16)
"""The name under which transformers finds this attention."""


class Attention(Protocol):
    """Mixes values: query [1, heads, T, d], key and value [1, key heads, T, d] -> [1, T, heads, d]."""

    def __call__(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        """One layer's attention."""
        ...


CURRENT: ContextVar[Attention] = ContextVar("attention")


UNKNOWN = {"softcap": "soft caps", "s_aux": "sinks", "position_bias": "biases", "head_mask": "masks of heads"}
"""Arguments with which some models change what their attention computes."""


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **named: Any,
) -> tuple[torch.Tensor, None]:
    """Called by transformers instead of its own attention."""
    for name, meaning in UNKNOWN.items():
        if named.get(name) is not None:
            raise ModelError(f"attention with {meaning} ({name}) does not run packed. Use inner_loop='reference'")
    return CURRENT.get()(module.layer_idx, query, key, value, scaling, sliding_window), None


AttentionInterface.register(NAME, _attend)


def attention_over(packed: Packed, dtype: torch.dtype) -> Attention:
    """One kernel for all sequences where torch has one, otherwise one call for each run of equal lengths.

    Args:
        packed: The sequences.
        dtype: Of the states that attend; the one kernel reads half precision alone.
    """
    kernel = varlen_kernel() if is_nvidia(packed.ids.device) and dtype in HALF else None
    return _AttentionByRuns(packed) if kernel is None else VariableLengthAttention(packed, kernel)


def varlen_kernel() -> Any:
    """Torch's attention over sequences of different lengths; None where torch has none."""
    try:
        return import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):
        return None


class _AttentionByRuns:
    def __init__(self, packed: Packed) -> None:
        self._runs = packed.runs

    def __call__(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        del layer
        parts = []
        # By tokens first: the backward pass then joins the pieces without moving anything in them.
        by_token = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
        pieces = (x.split([run.count * run.length for run in self._runs]) for x in by_token)
        for run, *states in zip(self._runs, *pieces, strict=True):
            q, k, v = (x.unflatten(0, (run.count, run.length)).transpose(1, 2) for x in states)
            real = run.real
            seen = _band(run, window, q.device)
            mixed = _mix(q[:, :, :real], k[:, :, :real], v[:, :, :real], scale, causal=seen is None, seen=seen)
            if real < run.length:
                padding = _mix(q[:, :, real:], k[:, :, :real], v[:, :, :real], scale, causal=False)
                mixed = torch.cat([mixed, padding], dim=2)
            parts.append(mixed.transpose(1, 2).flatten(0, 1))
        return torch.cat(parts)[None]


def _mix(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float | None,
    causal: bool,
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention within each sequence, [sequences, heads, length, d]; keys may have fewer heads, or another length."""
    grouped = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen, is_causal=causal, scale=scale, enable_gqa=grouped
    )


def _band(run: Run, window: int | None, device: torch.device) -> torch.Tensor | None:
    """What each real token sees, [real, real], if the window is shorter than the sequence."""
    if window is None or run.length <= window:
        return None
    _check_padding(run.real < run.length, window)
    at = torch.arange(run.real, device=device)
    apart = at[:, None] - at
    return (apart >= 0) & (apart < window)


def _check_padding(padded: bool, window: int) -> None:
    if padded:
        raise ModelError(
            f"profile='paper': padded sequences longer than the model's window of {window} tokens do not run packed. "
            f"Use inner_loop='reference', or a max_tokens of at most {window}"
        )


class VariableLengthAttention:
    """All sequences in one call of torch's `varlen_attn`; the padding of all in another."""

    def __init__(self, packed: Packed, kernel: Any, longest: int | None = None, sequences: int = 0) -> None:
        """Plan for all layers.

        Args:
            packed: The sequences.
            kernel: torch's `varlen_attn`.
            longest: What the kernel is given as the longest sequence, if it is given more than that.
            sequences: How many sequences the kernel is given at least; those added are empty.
        """
        self._kernel = kernel
        # Before torch 2.12 the kernel has no such argument and accepts fewer key heads than query heads without it.
        self._has_gqa_flag = "enable_gqa" in inspect.signature(kernel).parameters
        device = packed.ids.device
        found = [(run.start + n * run.length, run.length, run.real) for run in packed.runs for n in range(run.count)]
        real = [range(start, start + real) for start, _, real in found]
        self._real = _Part([*real, *[range(0)] * (sequences - len(real))], device, longest or 0)
        self._padding: _Part | None = None
        if packed.padded:
            self._padding = _Part([range(start + real, start + length) for start, length, real in found], device)
            self._order = torch.cat([self._real.tokens, self._padding.tokens]).argsort()
        self._longest = max(packed.longest, longest or 0)

    @property
    def bounds(self) -> torch.Tensor:
        """Where each sequence begins and the last one ends, int32 [sequences + 1]."""
        return self._real.bounds

    def __call__(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        """See Attention."""
        del layer
        q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))  # x[0] would copy in the backward pass
        real, padding = self._real, self._padding
        before = -1
        if window is not None and window < self._longest:
            _check_padding(padding is not None, window)
            before = window - 1
        if padding is None:
            return self._call(q, k, v, real, scale, (before, 0))[None]
        k, v = k[real.tokens], v[real.tokens]
        mixed = torch.cat(
            [
                self._call(q[real.tokens], k, v, real, scale, (-1, 0)),
                self._call(q[padding.tokens], k, v, padding, scale, (-1, -1)),
            ]
        )
        return mixed[self._order][None]

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
    """A part of each sequence: where each begins among them, int32 [sequences + 1], and the indices of its tokens."""

    def __init__(self, parts: list[range], device: torch.device, longest: int = 0) -> None:
        self._parts, self._device = parts, device
        self.longest = max(longest, *map(len, parts))
        self.bounds = on_device([*accumulate(map(len, parts), initial=0)], torch.int32, device)

    @cached_property
    def tokens(self) -> torch.Tensor:
        return on_device([token for part in self._parts for token in part], torch.long, self._device)
