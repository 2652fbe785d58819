"""The keys and values of answers that are being decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.attention import Attention
from seal_env.inner_loop.batched.packing import Packed, Piece, on_device, pack

ROOM = 64
"""Tokens by which a row's keys and values grow at a time."""

States = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values by layer."""


def storing(attention: Attention, stored: States) -> Attention:
    """Attention that also stores each layer's keys and values, [heads, T, d]."""

    def attend(
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        if layer != len(stored):
            raise ModelError("answers cannot be decoded: a layer attends twice, or out of order. Use inner_loop='reference'")
        stored.append((key[0], value[0]))
        return attention(layer, query, key, value, scale, window)

    return attend


class KeyCache:
    """Keys and values of sequences that grow token by token, by layer [rows, key heads, room, d].

    Attributes:
        positions: How many of them each row uses, which is the position of its next token, [rows].
        states: The keys and values.
        fixed: True if a pass is to be the same until `advance`: it reads all of the room.
    """

    def __init__(
        self, rows: Sequence[States], lengths: Sequence[int], starts: Sequence[int] | None = None, fixed: bool = False
    ) -> None:
        """Begin with what is known.

        Args:
            rows: For each row, by layer keys and values [key heads, tokens, d], which rows may share.
            lengths: How many of those tokens are the row's.
            starts: The first of them; None is the first of all.
            fixed: See KeyCache.
        """
        self._lengths, self.fixed = list(lengths), fixed
        self.states = gathered(rows, lengths, starts or [0] * len(lengths), _rounded_up(max(lengths) + ROOM))
        self._prepare()

    def _prepare(self) -> None:
        """What all layers need for the next token. Key lengths are rounded up, so that a kernel meets few of them."""
        keys = self.states[0][0]
        self.positions = on_device(self._lengths, torch.long, keys.device)
        self._rows = torch.arange(len(self._lengths), device=keys.device)
        self._longest = keys.shape[2] if self.fixed else _rounded_up(self.longest)
        self._masks: dict[int | None, torch.Tensor] = {}

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence, with the one that comes next."""
        return self.longest_of(range(len(self._lengths)))

    def longest_of(self, rows: Sequence[int]) -> int:
        """The same of some rows."""
        return max(self._lengths[row] for row in rows) + 1

    def _mask(self, window: int | None) -> torch.Tensor:
        """What is added to the scores, [rows, 1, 1, positions]: nothing where a row's next token sees, elsewhere -inf."""
        if window not in self._masks:
            keys, last = self.states[0][0], self.positions[:, None]
            at = torch.arange(self._longest, device=keys.device)
            unseen = (at > last) if window is None else (at > last) | (at <= last - window)
            mask = torch.zeros_like(unseen, dtype=keys.dtype).masked_fill_(unseen, -torch.inf)
            self._masks[window] = mask[:, None, None]
        return self._masks[window]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        """Attention of one new token a row, [1, heads, rows, d], over the row's tokens so far and itself.

        Heads that share keys are laid out as queries of one head: kernels that take a mask then need no expanded keys.
        """
        keys, values = self.states[layer]
        keys[self._rows, :, self.positions] = key[0].transpose(0, 1)
        values[self._rows, :, self.positions] = value[0].transpose(0, 1)
        mixed = functional.scaled_dot_product_attention(
            query[0].transpose(0, 1).unflatten(1, (key.shape[1], -1)),
            keys[:, :, : self._longest],
            values[:, :, : self._longest],
            attn_mask=self._mask(window),
            scale=scale,
        )
        return mixed.flatten(1, 2)[None]

    def next(self) -> None:
        """Let each row's next token be the one after it, on the device alone. A row that has ended stays in its room."""
        self.positions.add_(1).clamp_(max=self._longest - 1)
        self._masks.clear()

    def count(self) -> None:
        """Count the new token of each row, as `next` does on the device."""
        self._lengths = [length + 1 for length in self._lengths]

    def stale(self, alive: Sequence[int]) -> bool:
        """True if `advance` must come before the next token, or should, because half of the rows have ended."""
        return not self.fixed or 2 * len(alive) <= len(self._lengths) or self.longest_of(alive) > self._longest

    def advance(self, alive: Sequence[int]) -> None:
        """Drop all rows but `alive`, and make room for the next token."""
        dropped = len(alive) < len(self._lengths)
        chosen = on_device(alive, torch.long, self.positions.device) if dropped else None
        self._lengths = [self._lengths[row] for row in alive]
        grow = self.longest > self.states[0][0].shape[2]

        def resized(state: torch.Tensor) -> torch.Tensor:
            state = state if chosen is None else state[chosen]
            return functional.pad(state, (0, 0, 0, ROOM)) if grow else state

        if dropped or grow:
            self.states = [(resized(key), resized(value)) for key, value in self.states]
        self._prepare()


def gathered(rows: Sequence[States], lengths: Sequence[int], starts: Sequence[int], room: int) -> States:
    """The keys and values of each row, by layer [rows, key heads, room, d], zero behind a row's last token."""
    shared: dict[int, list[int]] = {}
    for row, states in enumerate(rows):
        shared.setdefault(id(states), []).append(row)
    device = rows[0][0][0].device
    plans = []
    for members in shared.values():
        spans = [(row, range(starts[row], starts[row] + lengths[row])) for row in members]
        owners = on_device([row for row, span in spans for _ in span], torch.long, device)
        places = on_device([place for _, span in spans for place in range(len(span))], torch.long, device)
        tokens = on_device([token for _, span in spans for token in span], torch.long, device)
        plans.append((rows[members[0]], owners, places, tokens))

    def laid_out(layer: int, which: int) -> torch.Tensor:
        heads, _, width = rows[0][layer][which].shape
        state = rows[0][layer][which].new_zeros(len(rows), heads, room, width)
        for states, owners, places, tokens in plans:
            state[owners, :, places] = states[layer][which][:, tokens].transpose(0, 1)
        return state

    return [(laid_out(layer, 0), laid_out(layer, 1)) for layer in range(len(rows[0]))]


def _rounded_up(length: int) -> int:
    return -(-length // ROOM) * ROOM


def one_token_each(tokens: Sequence[int], slots: Sequence[int], cache: KeyCache, device: torch.device) -> Packed:
    """The next token of each row of the cache, packed; rows of one slot must be neighbours."""
    packed = pack([Piece([token], 1, slot) for token, slot in zip(tokens, slots, strict=True)], device)
    return replace(packed, positions=cache.positions[None], longest=cache.longest)
