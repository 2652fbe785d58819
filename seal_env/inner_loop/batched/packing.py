"""Sequences of several jobs laid end to end: no padding, one row of tokens for the base model's matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise

import torch

BASE = -1
"""The slot of tokens that the base model reads without an adapter."""


@dataclass(frozen=True)
class Piece:
    """One sequence to pack: its tokens, how many of them are not padding, and the slot of its adapter."""

    ids: Sequence[int]
    real: int
    slot: int


@dataclass(frozen=True)
class Run:
    """Neighbouring sequences of one length: `count` of `length` tokens from `start`; `real` tokens of each are not padding.

    Padding (the paper's profile trains on it) follows the real tokens of its sequence: it sees them and no padding.
    """

    start: int
    count: int
    length: int
    real: int

    @property
    def stop(self) -> int:
        """Index after the last token."""
        return self.start + self.count * self.length


@dataclass(frozen=True)
class Packed:
    """Tokens of several sequences.

    Attributes:
        ids: Token ids, [1, T].
        positions: Positions, [1, T], from 0 within each sequence.
        runs: Where the sequences are.
        spans: Each slot with its tokens, in order, without those for the base model.
        slots: The slots of the spans, [groups].
        ends: Where the spans end, int32 [groups].
        longest: Tokens of the longest sequence, with those before its first token here.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    runs: tuple[Run, ...]
    spans: tuple[tuple[int, slice], ...]
    slots: torch.Tensor
    ends: torch.Tensor
    longest: int

    @property
    def padded(self) -> bool:
        """True if a sequence has padding."""
        return any(run.real < run.length for run in self.runs)

    @cached_property
    def block(self) -> slice | None:
        """The slots of the spans as a range; None if they are not neighbours in ascending order."""
        slots = [slot for slot, _ in self.spans]
        found = slice(slots[0], slots[0] + len(slots)) if slots else None
        return found if found and slots == list(range(found.start, found.stop)) else None


def pack(pieces: Sequence[Piece], device: torch.device) -> Packed:
    """Lay sequences end to end, in their order; those of one slot must be neighbours."""
    ids = [token for piece in pieces for token in piece.ids]
    positions = [position for piece in pieces for position in range(len(piece.ids))]
    runs: list[Run] = []
    for (length, real), group in groupby(pieces, key=lambda piece: (len(piece.ids), piece.real)):
        runs.append(Run(runs[-1].stop if runs else 0, len(list(group)), length, real))
    owners = [(slot, sum(len(piece.ids) for piece in group)) for slot, group in groupby(pieces, lambda piece: piece.slot)]
    bounds = pairwise(accumulate((tokens for _, tokens in owners), initial=0))
    spans = tuple((slot, slice(*bound)) for (slot, _), bound in zip(owners, bounds, strict=True) if slot != BASE)
    assert len({slot for slot, _ in spans}) == len(spans)
    return Packed(
        on_device(ids, torch.long, device)[None],
        on_device(positions, torch.long, device)[None],
        tuple(runs),
        spans,
        on_device([slot for slot, _ in spans], torch.long, device),
        on_device([span.stop for _, span in spans], torch.int32, device),
        max((len(piece.ids) for piece in pieces), default=0),
    )


def on_device(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Numbers as a tensor [N]. A GPU fetches them when it gets there, and nothing waits for it."""
    if device.type != "cuda" or not values:
        return torch.tensor(values, dtype=dtype, device=device)
    return torch.tensor(values, dtype=dtype, pin_memory=True).to(device, non_blocking=True)
