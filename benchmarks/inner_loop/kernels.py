"""The device's kernels beside the same computation in fp64, and what a new shape of attention costs."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention

from seal_env.inner_loop.batched.attention import attention_over
from seal_env.inner_loop.batched.grouped_mm import OneByOne, choose_products
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import BASE, Packed, Piece, pack
from seal_env.inner_loop.model.frozen_lm import FrozenLM

SEQUENCES = ((300, 300), (17, 17), (300, 251), (64, 1), (900, 900))
"""Tokens of each sequence, and how many of them are not padding."""

HEADS = ((32, 8, 64), (28, 4, 128), (4, 4, 32))
"""Heads, key heads and width of a head: of Llama-3.2-1B, of Qwen2.5-7B and of the bundled models."""

WIDTHS, RANK = (2048, 8192), 128
CPU = torch.device("cpu")
NEW_SHAPES = 4


def wait_for(device: torch.device) -> None:
    """Return once the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference as a share of the norm of the exact values."""
    exact = exact.detach().double().cpu()
    return float((found.detach().double().cpu() - exact).norm() / exact.norm())


def packed_sequences(device: torch.device) -> Packed:
    """`SEQUENCES`, each in a slot of its own."""
    return pack([Piece([0] * length, real, slot) for slot, (length, real) in enumerate(SEQUENCES)], device)


def attention_errors(device: torch.device, dtype: torch.dtype) -> dict[str, list[float]]:
    """Relative errors of packed attention by "heads/key heads/width": of its output and of three gradients."""
    packed, exact = packed_sequences(device), packed_sequences(CPU)
    tokens = packed.ids.shape[1]
    errors = {}
    for heads, key_heads, width in HEADS:
        states = [
            torch.randn(1, count, tokens, width, device=device, dtype=dtype, requires_grad=True)
            for count in (heads, key_heads, key_heads)
        ]
        upstream = torch.randn(1, tokens, heads, width, device=device, dtype=dtype)
        mixed = attention_over(packed, states[0].dtype)(0, states[0], states[1], states[2], None)
        found = [mixed, *torch.autograd.grad(mixed, states, upstream)]
        q, k, v = (state.detach().cpu().double().requires_grad_() for state in states)
        mixed = attention_over(exact, q.dtype)(0, q, k, v, None)
        right = [mixed, *torch.autograd.grad(mixed, (q, k, v), upstream.cpu().double())]
        errors[f"{heads}/{key_heads}/{width}"] = [relative_error(a, b) for a, b in zip(found, right, strict=True)]
    return errors


def product_errors(device: torch.device, dtype: torch.dtype) -> dict[str, float | str]:
    """Relative errors of a product with a matrix for each sequence, and of each sequence's outer product."""
    packed = packed_sequences(device)
    tokens, slots = packed.ids.shape[1], len(SEQUENCES)
    x, wide = (torch.randn(tokens, width, device=device, dtype=dtype) for width in WIDTHS)
    weights = torch.randn(slots, WIDTHS[0], RANK, device=device, dtype=dtype)
    chosen, single = choose_products(weights, (*WIDTHS, RANK)), OneByOne()
    product = chosen.multiply(x, weights, packed)
    exact = single.multiply(x.double(), weights.double(), packed)
    low = torch.randn(tokens, RANK, device=device, dtype=dtype)
    sums = [torch.zeros(slots, RANK, WIDTHS[1], device=device, dtype=kind) for kind in (torch.float32, torch.float64)]
    chosen.add_outer(sums[0], low, wide, packed)
    single.add_outer(sums[1], low.double(), wide.double(), packed)
    return {
        "chosen": type(chosen).__name__,
        "product": relative_error(product, exact),
        "outer": relative_error(sums[0], sums[1]),
    }


def new_shape_seconds(device: torch.device, dtype: torch.dtype) -> dict[str, list[float | None]]:
    """Seconds of one step of decoding (64 rows, 32 heads, 8 key heads) for lengths that are new, then for the last again.

    By way: with a mask and grouped heads; with the heads of a group as positions of the query instead; without a mask. None
    where torch has no kernel for it.
    """

    def seconds_of(length: int) -> dict[str, float | None]:
        query = torch.randn(64, 32, 1, 64, device=device, dtype=dtype)
        keys = torch.randn(64, 8, length, 64, device=device, dtype=dtype)
        mask = torch.ones(64, 1, 1, length, dtype=torch.bool, device=device)
        attend = scaled_dot_product_attention
        return {
            "mask, grouped heads": _seconds(device, lambda: attend(query, keys, keys, mask, enable_gqa=True)),
            "mask, heads as positions": _seconds(device, lambda: attend(query.view(64, 8, 4, 64), keys, keys, mask)),
            "grouped heads": _seconds(device, lambda: attend(query, keys, keys, enable_gqa=True)),
        }

    found = [seconds_of(length) for length in (*range(700, 700 + NEW_SHAPES), 699 + NEW_SHAPES)]
    return {way: [each[way] for each in found] for way in found[0]}


def _seconds(device: torch.device, compute: Callable[[], torch.Tensor]) -> float | None:
    wait_for(device)
    began = time.perf_counter()
    try:
        compute()
    except RuntimeError as error:
        if "No available kernel" not in str(error):
            raise
        return None
    wait_for(device)
    return time.perf_counter() - began


@torch.no_grad()
def logit_errors(base: FrozenLM) -> dict[str, float]:
    """How far the logits of packed sequences are from the model's own: largest difference and root mean square.

    Both as shares: of the largest logit, and of the root mean square of the logits.
    """
    reader = PackedReader(base)
    texts = [list(range(24)), list(range(24))[::-2]]
    packed = pack([Piece(ids, len(ids), BASE) for ids in texts], base.device)
    ours = (reader.hidden(packed, None) @ reader.head.T).float()
    plain = [base.model(input_ids=torch.tensor([ids], device=base.device), use_cache=False) for ids in texts]
    theirs = torch.cat([output.logits[0] for output in plain]).float()
    apart = float((ours - theirs).abs().max() / theirs.abs().max())
    return {"largest": apart, "rms": relative_error(ours, theirs)}
