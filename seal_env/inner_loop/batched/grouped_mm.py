"""Matrix products in which each group of neighbouring rows has a matrix of its own, as adapters of several jobs need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch.nn import functional

from seal_env.inner_loop.batched.kernels import find_kernels
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.model.devices import is_nvidia


class Products(Protocol):
    """Rows x [T, n] in the groups of `packed`; the group of slot s uses matrix s of `weights` [slots, n, m].

    Attributes:
        every_row: True if each row must have a group.
        overwrites: True if a total's first outer product replaces what is there; otherwise it is added, to zeros.
    """

    every_row: bool
    overwrites: bool

    def multiply(self, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> torch.Tensor:
        """[T, n] times [slots, n, m] -> [T, m]."""
        ...

    def add_product(self, y: torch.Tensor, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> None:
        """Add `multiply` to y [T, m], in place. Rows without a group stay as they are."""
        ...

    def add_outer(
        self, total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, packed: Packed, first: bool = False
    ) -> None:
        """Add each group's left [rows, n] transposed times right [rows, m] to total [slots, n, m], in place.

        first: see `overwrites`.
        """
        ...


class OneByOne:
    """A product for each group: the fastest way on a CPU, and right everywhere."""

    every_row = overwrites = False

    def multiply(self, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> torch.Tensor:
        """See Products."""
        y = x.new_empty(len(x), weights.shape[2])
        for slot, span in packed.spans:
            torch.mm(x[span], weights[slot], out=y[span])
        return y

    def add_product(self, y: torch.Tensor, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> None:
        """See Products."""
        for slot, span in packed.spans:
            y[span].addmm_(x[span], weights[slot])

    def add_outer(
        self, total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, packed: Packed, first: bool = False
    ) -> None:
        """See Products."""
        for slot, span in packed.spans:
            part = left[span].T
            if total.dtype == part.dtype:
                total[slot].addmm_(part, right[span])
            else:
                total[slot] += part @ right[span]


class AllAtOnce:
    """torch's grouped matrix product: one kernel for all groups. A single group takes a plain product, which is faster."""

    every_row = overwrites = True

    def multiply(self, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> torch.Tensor:
        """See Products."""
        if len(packed.spans) == 1:
            return x @ weights[packed.spans[0][0]]
        chosen = weights[packed.slots] if packed.block is None else weights[packed.block]
        return functional.grouped_mm(x, chosen, offs=packed.ends)

    def add_product(self, y: torch.Tensor, x: torch.Tensor, weights: torch.Tensor, packed: Packed) -> None:
        """See Products."""
        y += self.multiply(x, weights, packed)

    def add_outer(
        self, total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, packed: Packed, first: bool = False
    ) -> None:
        """See Products."""
        alone = len(packed.spans) == 1
        product = (left.T @ right)[None] if alone else functional.grouped_mm(left.T, right, offs=packed.ends)
        kernels = find_kernels("gradients", total.device)
        if kernels is not None:
            kernels.store_products(total, product, packed.slots, first)
        elif packed.block is not None and first:
            total[packed.block].copy_(product)
        elif packed.block is not None:
            total[packed.block] += product
        elif first:
            total.index_copy_(0, packed.slots, product.to(total.dtype))
        else:
            total.index_add_(0, packed.slots, product.to(total.dtype))


FUSED_CAPABILITIES = (9, 10)
"""Major compute capabilities of NVIDIA with one kernel for all groups; on others torch waits for the GPU at every call."""


def choose_products(weights: torch.Tensor, sizes: Sequence[int]) -> Products:
    """The way for adapter weights of this type and device, whose matrices have these numbers of rows and columns."""
    fits = is_nvidia(weights.device) and weights.dtype == torch.bfloat16 and hasattr(functional, "grouped_mm")
    fits = fits and all(size % 8 == 0 for size in sizes)
    if fits and torch.cuda.get_device_capability(weights.device)[0] in FUSED_CAPABILITIES:
        return AllAtOnce()
    return OneByOne()
