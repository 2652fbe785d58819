"""Answers of many updated models at once: one teacher-forced pass over all queries, then greedy decoding of what failed.

Decoding begins at the first token that differs from the gold answer, with the keys and values of the pass that found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from seal_env.inner_loop.batched.attention import Attention, attention_over
from seal_env.inner_loop.batched.head import choose
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import Packed, Piece, pack
from seal_env.inner_loop.tokens.answer import AnswerInProgress, check_length
from seal_env.inner_loop.tokens.chat_template import EncodedQuery
from seal_env.types import Answer, Query

ROOM = 64
"""Tokens by which a row's keys and values grow at a time."""

States = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values by layer."""


@dataclass(frozen=True)
class Asked:
    """A query of job number `job`, put to the adapter in `slot` (BASE: to the base model).

    decode: a wrong answer is wanted as text too.
    """

    query: Query
    encoded: EncodedQuery
    slot: int
    decode: bool
    job: int

    @property
    def tokens(self) -> int:
        """Tokens of the teacher-forced pass."""
        return len(self.encoded.prompt_T) + len(self.encoded.gold_T) - 1


@dataclass(frozen=True)
class Wrong:
    """An answer to decode: how many gold tokens it begins with, the token that follows, and the states before it.

    states: [heads, T, d] for each layer.
    """

    asked: Asked
    matched: int
    token: int
    states: States


def verify(model: PackedReader, stack: LoraStack | None, asked: Sequence[Asked]) -> list[tuple[Answer, Wrong | None]]:
    """One forward pass: each answer, without text where wrong, and what to decode of it if that is wanted.

    Queries of a slot must be neighbours.
    """
    for each in asked:
        check_length(each.query, each.encoded, model.base.max_tokens)
    packed = pack(
        [Piece([*each.encoded.prompt_T, *each.encoded.gold_T[:-1]], each.tokens, each.slot) for each in asked],
        model.base.device,
    )
    kept: States = []
    attention = attention_over(packed)
    with torch.no_grad():
        hidden = model.hidden(packed, stack, _keeping(attention, kept) if any(each.decode for each in asked) else attention)
    starts: list[int] = []
    positions: list[int] = []
    offset = 0
    for each in asked:
        starts.append(offset)
        offset += each.tokens
        positions.extend(range(offset - len(each.encoded.gold_T), offset))
    gold = torch.tensor([token for each in asked for token in each.encoded.gold_T], device=model.base.device)
    chosen, margins = choose(hidden[torch.tensor(positions, device=model.base.device)], model.head, gold)
    answers: list[tuple[Answer, Wrong | None]] = []
    at = 0
    for each, start in zip(asked, starts, strict=True):
        length = len(each.encoded.gold_T)
        tokens, margin = chosen[at : at + length].tolist(), float(margins[at : at + length].min())
        at += length
        same = [token == gold_token for token, gold_token in zip(tokens, each.encoded.gold_T, strict=True)]
        matched = [*same, False].index(False)
        exact = matched == length
        answer = Answer(each.query.query_id, exact, each.query.answer if exact else None, round(margin, 4))
        wrong = None
        if not exact and each.decode:
            span = slice(start, start + len(each.encoded.prompt_T) + matched)
            states = [(key[:, span].clone(), value[:, span].clone()) for key, value in kept]
            wrong = Wrong(each, matched, tokens[matched], states)
        answers.append((answer, wrong))
    return answers


def _keeping(attention: Attention, kept: States) -> Attention:
    """Attention that also keeps each layer's keys and values, [heads, T, d]."""

    def attend(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None) -> torch.Tensor:
        assert layer == len(kept)
        kept.append((key[0], value[0]))
        return attention(layer, query, key, value, scale)

    return attend


class _Rows:
    """Keys and values of the answers that go on, by layer [rows, heads, room, d], and how many of them are in use."""

    def __init__(self, rows: Sequence[Wrong]) -> None:
        lengths = [len(row.asked.encoded.prompt_T) + row.matched for row in rows]
        device = rows[0].states[0][0].device
        self.lengths = torch.tensor(lengths, device=device)
        room = max(lengths) + ROOM

        def stacked(layer: int, which: int) -> torch.Tensor:
            return torch.stack(
                [
                    functional.pad(row.states[layer][which], (0, 0, 0, room - length))
                    for row, length in zip(rows, lengths, strict=True)
                ]
            )

        self.states: States = [(stacked(layer, 0), stacked(layer, 1)) for layer in range(len(rows[0].states))]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """Attention of one new token a row, [1, heads, rows, d], over the row's tokens so far and itself."""
        keys, values = self.states[layer]
        rows = torch.arange(len(self.lengths), device=keys.device)
        keys[rows, :, self.lengths] = key[0].transpose(0, 1)
        values[rows, :, self.lengths] = value[0].transpose(0, 1)
        longest = int(self.lengths.max()) + 1
        seen = torch.arange(longest, device=keys.device) <= self.lengths[:, None]
        mixed = functional.scaled_dot_product_attention(
            query[0].transpose(0, 1)[:, :, None],
            keys[:, :, :longest],
            values[:, :, :longest],
            attn_mask=seen[:, None, None],
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return mixed.transpose(1, 2).flatten(0, 1)[None]

    def advance(self, alive: list[int]) -> None:
        """Count the new token, keep the rows `alive`, and make room for the next token."""
        grow = int(self.lengths.max()) + 2 > self.states[0][0].shape[2]
        chosen = None if len(alive) == len(self.lengths) else torch.tensor(alive, device=self.lengths.device)
        self.lengths = (self.lengths + 1) if chosen is None else (self.lengths + 1)[chosen]
        if chosen is None and not grow:
            return

        def kept(state: torch.Tensor) -> torch.Tensor:
            state = state if chosen is None else state[chosen]
            return functional.pad(state, (0, 0, 0, ROOM)) if grow else state

        self.states = [(kept(key), kept(value)) for key, value in self.states]


@torch.no_grad()
def decode(model: PackedReader, stack: LoraStack | None, wrong: Sequence[Wrong]) -> list[str]:
    """The greedy answers as text, all rows side by side; rows of one slot must be neighbours."""
    device, tokenizer = model.base.device, model.base.tokenizer
    answers = [
        AnswerInProgress(row.asked.query, row.asked.encoded, row.matched, tokenizer, model.base.max_tokens) for row in wrong
    ]
    going = [not answer.full and answer.take(row.token) for answer, row in zip(answers, wrong, strict=True)]
    alive = [index for index, goes_on in enumerate(going) if goes_on]
    tokens = {index: wrong[index].token for index in alive}
    cache = _Rows([wrong[index] for index in alive]) if alive else None
    while alive:
        assert cache is not None
        packed = _one_token_each([tokens[i] for i in alive], [wrong[i].asked.slot for i in alive], cache.lengths, device)
        hidden = model.hidden(packed, stack, cache.attend)
        chosen = (hidden @ model.head.T).argmax(1).tolist()
        tokens = dict(zip(alive, chosen, strict=True))
        going_on = [row for row, index in enumerate(alive) if answers[index].take(tokens[index])]
        cache.advance(going_on) if going_on else None
        alive = [alive[row] for row in going_on]
    return [answer.text for answer in answers]


def _one_token_each(tokens: list[int], slots: list[int], positions: torch.Tensor, device: torch.device) -> Packed:
    packed = pack([Piece([token], 1, slot) for token, slot in zip(tokens, slots, strict=True)], device)
    return replace(packed, positions=positions[None])
