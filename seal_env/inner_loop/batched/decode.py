"""Answers of many updated models at once: one teacher-forced pass over all queries, then greedy decoding of wrong answers.

Decoding starts at the first token that differs from the gold answer, with the keys and values of the pass that found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seal_env.inner_loop.batched.attention import attention_over
from seal_env.inner_loop.batched.head import choose
from seal_env.inner_loop.batched.key_cache import KeyCache, States, one_token_each, storing
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import Piece, pack
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
        states: Keys and values of everything before that token, [heads, T, d] for each layer.
    """

    query: QueryInSlot
    matched: int
    token: int
    states: States

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
    attention = attention_over(packed)
    with torch.no_grad():
        decodes = any(each.decode for each in queries)
        hidden = model.hidden(packed, stack, storing(attention, stored) if decodes else attention)
    starts: list[int] = []
    positions: list[int] = []
    offset = 0
    for each in queries:
        starts.append(offset)
        offset += each.tokens
        positions.extend(range(offset - len(each.encoded.gold_T), offset))
    gold = torch.tensor([token for each in queries for token in each.encoded.gold_T], device=model.base.device)
    found = choose(hidden[torch.tensor(positions, device=model.base.device)], model.head, gold)
    chosen, margins = (values.tolist() for values in found)
    answers: list[tuple[Answer, WrongAnswer | None]] = []
    at = 0
    for each, start in zip(queries, starts, strict=True):
        length = len(each.encoded.gold_T)
        tokens, margin = chosen[at : at + length], min(margins[at : at + length])
        at += length
        same = [token == gold_token for token, gold_token in zip(tokens, each.encoded.gold_T, strict=True)]
        matched = [*same, False].index(False)
        exact = matched == length
        answer = Answer(each.query.query_id, exact, each.query.answer if exact else None, round(margin, 4))
        wrong = None
        if not exact and each.decode:
            span = slice(start, start + len(each.encoded.prompt_T) + matched)
            states = [(key[:, span].clone(), value[:, span].clone()) for key, value in stored]
            wrong = WrongAnswer(each, matched, tokens[matched], states)
        answers.append((answer, wrong))
    return answers


@torch.no_grad()
def decode(model: PackedReader, stack: LoraStack | None, wrong: Sequence[WrongAnswer]) -> list[str]:
    """The greedy answers as text, all rows side by side; rows of one slot must be neighbours."""
    device, tokenizer = model.base.device, model.base.tokenizer
    answers = [
        AnswerInProgress(row.query.query, row.query.encoded, row.matched, tokenizer, model.base.max_tokens) for row in wrong
    ]
    unfinished = [not answer.full and answer.take(row.token) for answer, row in zip(answers, wrong, strict=True)]
    alive = [index for index, open_ in enumerate(unfinished) if open_]
    tokens = {index: wrong[index].token for index in alive}
    first = [wrong[index] for index in alive]
    cache = KeyCache([row.states for row in first], [row.length for row in first]) if alive else None
    while alive:
        assert cache is not None
        packed = one_token_each([tokens[i] for i in alive], [wrong[i].query.slot for i in alive], cache, device)
        hidden = model.hidden(packed, stack, cache.attend)
        chosen = (hidden @ model.head.T).argmax(1).tolist()
        tokens = dict(zip(alive, chosen, strict=True))
        remaining = [row for row, index in enumerate(alive) if answers[index].take(tokens[index])]
        cache.advance(remaining) if remaining else None
        alive = [alive[row] for row in remaining]
    return [answer.text for answer in answers]
