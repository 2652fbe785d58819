"""Training passes of few tokens, padded to one of few shapes, so that those of one shape can be replayed as a CUDA graph.

The padding is one more sequence of the last adapter. It carries no loss, so that its gradients are exactly zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from seal_env.inner_loop.batched.attention import Attention, VariableLengthAttention, varlen_kernel
from seal_env.inner_loop.batched.graphs import Recorder
from seal_env.inner_loop.batched.head import Anchor, cross_entropy
from seal_env.inner_loop.batched.last_layer import Chosen
from seal_env.inner_loop.batched.layout import Layout, Supervised
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Packed, Piece

MOST_TOKENS = 2048
"""Longer passes compute for longer than it takes to start their kernels."""

FEWEST_TOKENS, SEQUENCES = 64, 8
"""Tokens and sequences are rounded up to multiples of these."""


def forward_backward(
    model: PackedModel,
    stack: LoraStack,
    packed: Packed,
    where: Supervised,
    jobs: int,
    attention: Attention | None = None,
    chosen: Chosen | None = None,
    regularise: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add the gradients of a pass to the stack's.

    Args:
        model: The base model.
        stack: The adapters.
        packed: What is read.
        where: Where the loss is.
        jobs: How many there are.
        attention: See `PackedReader.hidden`.
        chosen: See `PackedReader.hidden`.
        regularise: Each job's weight of the divergence from the base model, [jobs]; None has the base model not read.

    Returns:
        The pass's share of each job's loss, [jobs].
    """
    anchor = None
    if regularise is not None:
        with torch.no_grad():
            before = model.hidden(packed, None, attention, chosen)
        before = before.index_select(0, where.positions) if chosen is None else before
        anchor = Anchor(before, regularise.index_select(0, where.jobs))
    states = model.hidden(packed, stack, attention, chosen)
    if chosen is None:
        states = states.index_select(0, where.positions)
    total, losses = cross_entropy(states, model.head, where.labels, where.shares, anchor)
    total.backward()
    share = torch.zeros(jobs, dtype=stack.weights.dtype, device=stack.weights.device)
    return share.index_add(0, where.jobs, losses.to(share.dtype))


@dataclass(frozen=True)
class Shape:
    """What a recorded pass depends on: its numbers of tokens, sequences and positions with loss, and its jobs' slots.

    `longest` is a limit on a sequence's tokens.
    """

    tokens: int
    sequences: int
    longest: int
    supervised: int
    slots: tuple[int, ...]


class SmallPasses:
    """The small passes of the jobs in training slots."""

    def __init__(self, model: PackedModel, stack: LoraStack, pad: int) -> None:
        """Nothing is recorded yet.

        Args:
            model: The base model.
            stack: The adapters that learn.
            pad: The padding token.
        """
        self._model, self._stack, self._pad = model, stack, pad
        self._recorder = Recorder(model, model.base.device)
        self._kernel: Any = varlen_kernel() if model.graphs else None
        # A backward pass waits for the stream on which a leaf was first used: this one is used nowhere but in recorded work.
        self._anchor = torch.zeros((), device=model.base.device, requires_grad=True)

    @property
    def recorded(self) -> bool:
        """True if a pass has become a graph."""
        return self._model.graphs and self._recorder.recorded

    def takes(self, layout: Layout, slots: Sequence[int]) -> bool:
        """False for a pass that should run as it is.

        It has many tokens, or trains on padding, or its shape is beyond those that are remembered.
        """
        if self._kernel is None or not self._model.graphs or layout.tokens > MOST_TOKENS:
            return False
        if not self._stack.products.every_row or any(piece.real < len(piece.ids) for piece in layout.pieces):
            return False
        return self._recorder.knows(_key(shape_of(layout, slots)))

    def run(self, layout: Layout, slots: Sequence[int]) -> torch.Tensor:
        """Compute the gradients of a step of the jobs in these slots. Returns the jobs' mean losses, [jobs]."""
        shape = shape_of(layout, slots)
        packed, where = padded(layout, shape, self._pad).on(self._model.base.device, self._stack.weights.dtype)
        self._model.proof.check(packed)
        attention = VariableLengthAttention(packed, self._kernel, shape.longest, shape.sequences)
        inputs = [packed.ids, packed.positions, packed.ends, packed.slots, attention.bounds, *vars(where).values()]

        def work() -> torch.Tensor:
            self._stack.forget_gradients(slots)
            with self._model.current.anchored(self._anchor):
                return forward_backward(self._model, self._stack, packed, where, len(slots), attention)

        return self._recorder.run(_key(shape), work, inputs)


def _key(shape: Shape) -> tuple[Shape, bool]:
    """A graph replays the algorithms with which it was recorded."""
    return shape, torch.are_deterministic_algorithms_enabled()


def shape_of(layout: Layout, slots: Sequence[int]) -> Shape:
    """The shape to which a layout for the jobs in these slots is padded."""
    tokens = rounded(layout.tokens)
    longest = max(len(piece.ids) for piece in layout.pieces)
    sequences = len(layout.pieces) + -(-(tokens - layout.tokens) // longest)  # with those of padding
    supervised = tokens
    while supervised // 2 >= len(layout.positions):
        supervised //= 2
    sequences = -(-sequences // SEQUENCES) * SEQUENCES
    return Shape(tokens, sequences, power_of_two(longest), supervised, tuple(slots))


def padded(layout: Layout, shape: Shape, pad: int) -> Layout:
    """A layout of this shape. What is added carries no loss."""
    slot, missing = layout.pieces[-1].slot, shape.tokens - layout.tokens
    longest = max(len(piece.ids) for piece in layout.pieces)
    lengths = [min(longest, missing - start) for start in range(0, missing, longest)]
    rest = shape.supervised - len(layout.positions)
    return replace(
        layout,
        pieces=[*layout.pieces, *(Piece([pad] * length, length, slot) for length in lengths)],
        positions=[*layout.positions, *(n % shape.tokens for n in range(rest))],  # a GPU is slow where many are equal
        labels=[*layout.labels, *[0] * rest],
        shares=[*layout.shares, *[0.0] * rest],
        owners=[*layout.owners, *[0] * rest],
    )


def power_of_two(number: int) -> int:
    """The next power of two, FEWEST_TOKENS at least."""
    return max(FEWEST_TOKENS, 1 << (number - 1).bit_length())


def rounded(tokens: int) -> int:
    """Tokens, rounded up by an eighth at most, in steps of FEWEST_TOKENS at least."""
    step = max(FEWEST_TOKENS, (1 << tokens.bit_length()) // 16)
    return -(-tokens // step) * step
