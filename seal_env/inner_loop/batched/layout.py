"""What the model reads in a training pass, and where the loss is: the next examples of several jobs, laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from seal_env.inner_loop.batched.packing import Packed, Piece, on_device, pack
from seal_env.inner_loop.batched.progress import JobInProgress
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import Strategy


@dataclass(frozen=True)
class Supervised:
    """Where the loss is: positions [N] that predict labels [N], the share [N] of each in its job's mean, its job [N]."""

    positions: torch.Tensor
    labels: torch.Tensor
    shares: torch.Tensor
    jobs: torch.Tensor


@dataclass
class Layout:
    """A training pass before it is on a device.

    Attributes:
        pieces: The sequences.
        positions: See Supervised, as all that follows.
        labels: Labels.
        shares: Shares.
        owners: The job of each position, by its index in the pass.
    """

    pieces: list[Piece] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(len(piece.ids) for piece in self.pieces)

    def on(self, device: torch.device, dtype: torch.dtype) -> tuple[Packed, Supervised]:
        """The tensors. dtype: of the shares."""
        where = Supervised(
            on_device(self.positions, torch.long, device),
            on_device(self.labels, torch.long, device),
            on_device(self.shares, dtype, device),
            on_device(self.owners, torch.long, device),
        )
        return pack(self.pieces, device), where


def lay_out(jobs: Sequence[JobInProgress], part: int, pad: int) -> Layout:
    """Micro-batch `part` of each job's next optimizer step."""
    layout, offset = Layout(), 0
    for index, job in enumerate(jobs):
        strategy, length = job.job.training.strategy, job.padded_to
        share = 1 / max(1, sum(_supervised(row, strategy, length) for row in job.rows))
        for row in job.rows[part * job.micro_batch : (part + 1) * job.micro_batch]:
            ids = [*row.ids_T, *[pad] * ((length or 0) - len(row.ids_T))]
            learned = [*row.supervised(strategy), *[True] * (len(ids) - len(row.ids_T))]
            at = [position for position, supervised in enumerate(learned) if supervised]
            layout.positions.extend(offset + position - 1 for position in at)
            layout.labels.extend(ids[position] for position in at)
            layout.shares.extend([share] * len(at))
            layout.owners.extend([index] * len(at))
            layout.pieces.append(Piece(ids, len(row.ids_T), job.slot))
            offset += len(ids)
    return layout


def _supervised(row: EncodedExample, strategy: Strategy, length: int | None) -> int:
    return sum(row.supervised(strategy)) + max(0, (length or 0) - len(row.ids_T))
