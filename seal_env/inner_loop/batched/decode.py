"""Answers of many updated models at once: one teacher-forced pass over all queries, then greedy decoding of wrong answers.

Decoding starts at the first token that differs from the gold answer, with the keys and values of the pass that found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, compress

import torch

from seal_env.inner_loop.batched.attention import attention_over
from seal_env.inner_loop.batched.graphs import Recorder
from seal_env.inner_loop.batched.head import choose
from seal_env.inner_loop.batched.key_cache import KeyCache, States, one_token_each, storing
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import Piece, on_device, pack
from seal_env.inner_loop.tokens.answer import AnswerInProgress, check_length
from seal_env.inner_loop.tokens.chat_template import EncodedQuery
from seal_env.types import Answer, Query


@dataclass(frozen=True)
class QueryInSlot:
    """A query of one job for the adapter in one slot.

    Attributes:
        query: The query.
        encoded: Its tokens.
        slot: The adapter's slot; BASE for the model without an adapter.
        decode: True if a wrong answer is wanted as text.
        job: The job's index.
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
class WrongAnswer:
    """An answer to decode.

    Attributes:
        query: The query.
        matched: How many gold tokens the answer starts with.
        token: The token that follows them.
        states: Keys and values of everything before that token, [heads, T, d] for each layer, and those of other answers.
        start: Where this answer's begin.
    """

    query: QueryInSlot
    matched: int
    token: int
    states: States
    start: int = 0

    @property
    def length(self) -> int:
        """Tokens whose keys and values are known."""
        return len(self.query.encoded.prompt_T) + self.matched

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return sum(state[:, 0].numel() * state.element_size() for states in self.states for state in states)


def verify(
    model: PackedReader, stack: LoraStack | None, queries: Sequence[QueryInSlot]
) -> list[tuple[Answer, WrongAnswer | None]]:
    """Decide in one forward pass which queries are answered exactly.

    Args:
        model: The model that answers.
        stack: The adapters.
        queries: The queries; those of one slot must be neighbours.

    Returns:
        For each query its answer, which has no text if it is wrong, and what to decode if a wrong answer's text is wanted.
    """
    for each in queries:
        check_length(each.query, each.encoded, model.base.max_tokens)
    packed = pack(
        [Piece([*each.encoded.prompt_T, *each.encoded.gold_T[:-1]], each.tokens, each.slot) for each in queries],
        model.base.device,
    )
    stored: States = []
    attention = attention_over(packed, model.head.dtype)
    with torch.no_grad():
        decodes = any(each.decode for each in queries)
        hidden = model.hidden(packed, stack, storing(attention, stored) if decodes else attention)
    starts = [*accumulate((each.tokens for each in queries), initial=0)]
    positions = [
        at for each, stop in zip(queries, starts[1:], strict=True) for at in range(stop - len(each.encoded.gold_T), stop)
    ]
    gold = on_device([token for each in queries for token in each.encoded.gold_T], torch.long, model.base.device)
    found = choose(hidden[on_device(positions, torch.long, model.base.device)], model.head, gold)
    chosen, margins = (values.tolist() for values in found)
    answers: list[tuple[Answer, WrongAnswer | None]] = []
    shared: States = []  # filled in below, when it is known what is wrong
    known: list[range] = []
    at = 0
    for each, start in zip(queries, starts, strict=False):
        length = len(each.encoded.gold_T)
        tokens, margin = chosen[at : at + length], min(margins[at : at + length])
        at += length
        same = [token == gold_token for token, gold_token in zip(tokens, each.encoded.gold_T, strict=True)]
        matched = [*same, False].index(False)
        exact = matched == length
        answer = Answer(each.query.query_id, exact, each.query.answer if exact else None, round(margin, 4))
        wrong = None
        if not exact and each.decode:
            wrong = WrongAnswer(each, matched, tokens[matched], shared, sum(map(len, known)))
            known.append(range(start, start + wrong.length))
        answers.append((answer, wrong))
    if known:
        span = on_device([token for each in known for token in each], torch.long, model.base.device)
        shared.extend((key[:, span], value[:, span]) for key, value in stored)
    return answers


@torch.no_grad()
def decode(model: PackedReader, stack: LoraStack | None, wrong: Sequence[WrongAnswer]) -> list[str]:
    """The greedy answers as text, all rows side by side; rows of one slot must be neighbours."""
    tokenizer, most = model.base.tokenizer, model.base.max_tokens
    answers = [AnswerInProgress(row.query.query, row.query.encoded, row.matched, tokenizer, most) for row in wrong]
    unfinished = [not answer.full and answer.take(row.token) for answer, row in zip(answers, wrong, strict=True)]
    open_ = [index for index, each in enumerate(unfinished) if each]
    if open_:
        rows = GreedyRows(model, stack, [wrong[index] for index in open_])
        growing = [answers[index] for index in open_]
        while growing:
            growing = rows.step(growing)
    return [answer.text for answer in answers]


class GreedyRows:
    """Answers that grow side by side, a token a step. On a GPU a step that recurs becomes a CUDA graph."""

    def __init__(self, model: PackedReader, stack: LoraStack | None, rows: Sequence[WrongAnswer]) -> None:
        """Begin with answers whose first new token is known."""
        self._model, self._stack = model, stack
        self._recorder = Recorder(model, model.base.device)
        lengths, starts = [row.length for row in rows], [row.start for row in rows]
        self._cache = KeyCache([row.states for row in rows], lengths, starts, fixed=model.graphs)
        self._slots = [row.query.slot for row in rows]
        self._begin([row.token for row in rows])

    def _begin(self, tokens: Sequence[int]) -> None:
        self._packed = one_token_each(tokens, self._slots, self._cache, self._model.base.device)
        self._alive = list(range(len(tokens)))
        self._recorder.forget(None)

    def step(self, answers: Sequence[AnswerInProgress]) -> list[AnswerInProgress]:
        """Add a token to each answer. Returns those that go on, which are the next step's."""
        self._model.proof.check(replace(self._packed, longest=self._cache.longest_of(self._alive)))
        tokens = self._recorder.run(None, self._choose).tolist()
        self._cache.count()
        going_on = [answer.take(tokens[row]) for answer, row in zip(answers, self._alive, strict=True)]
        self._alive = [*compress(self._alive, going_on)]
        if self._alive and self._cache.stale(self._alive):
            self._cache.advance(self._alive)
            self._slots = [self._slots[row] for row in self._alive]
            self._begin([tokens[row] for row in self._alive])
        return [*compress(answers, going_on)]

    def _choose(self) -> torch.Tensor:
        """The next token of each row, which becomes the row's last, [rows]."""
        hidden = self._model.hidden(self._packed, self._stack, self._cache.attend)
        chosen = (hidden @ self._model.head.T).argmax(1)
        self._packed.ids.copy_(chosen[None])
        self._cache.next()
        return chosen
