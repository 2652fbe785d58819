"""The keys and values of answers that are being decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.attention import Attention
from seal_env.inner_loop.batched.packing import Packed, Piece, pack

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
    """

    def __init__(self, rows: Sequence[States], lengths: Sequence[int]) -> None:
        """Begin with `rows`: by layer [key heads, length, d]. lengths: the length of each."""
        self._lengths = list(lengths)
        room = _rounded_up(max(lengths) + ROOM)

        def stacked(layer: int, which: int) -> torch.Tensor:
            padded = zip(rows, lengths, strict=True)
            return torch.stack([functional.pad(row[layer][which], (0, 0, 0, room - length)) for row, length in padded])

        self.states: States = [(stacked(layer, 0), stacked(layer, 1)) for layer in range(len(rows[0]))]
        self._prepare()

    def _prepare(self) -> None:
        """What all layers need for the next token. Key lengths are rounded up, so that a kernel meets few of them."""
        keys = self.states[0][0]
        self.positions = torch.tensor(self._lengths, device=keys.device)
        self._rows = torch.arange(len(self._lengths), device=keys.device)
        self._longest = _rounded_up(self.longest)
        self._masks: dict[int | None, torch.Tensor] = {}

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence, with the one that comes next."""
        return max(self._lengths) + 1

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

    def advance(self, alive: list[int]) -> None:
        """Count the new token, drop all rows but `alive`, and make room for the next token."""
        dropped = len(alive) < len(self._lengths)
        chosen = torch.tensor(alive, device=self.positions.device) if dropped else None
        self._lengths = [self._lengths[row] + 1 for row in alive]
        grow = max(self._lengths) + 1 > self.states[0][0].shape[2]

        def resized(state: torch.Tensor) -> torch.Tensor:
            state = state if chosen is None else state[chosen]
            return functional.pad(state, (0, 0, 0, ROOM)) if grow else state

        if dropped or grow:
            self.states = [(resized(key), resized(value)) for key, value in self.states]
        self._prepare()


def _rounded_up(length: int) -> int:
    return -(-length // ROOM) * ROOM


def one_token_each(tokens: Sequence[int], slots: Sequence[int], cache: KeyCache, device: torch.device) -> Packed:
    """The next token of each row of the cache, packed; rows of one slot must be neighbours."""
    packed = pack([Piece([token], 1, slot) for token, slot in zip(tokens, slots, strict=True)], device)
    return replace(packed, positions=cache.positions[None], longest=cache.longest)
