"""Answers of a model to queries: one teacher-forced pass decides whether greedy decoding gives the gold answer.

Greedy decoding yields the gold tokens exactly if at each of them the gold token has the highest logit given the gold tokens
before it (induction over positions). Only answers that fail are decoded, from the first token that differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from seal_env.inner_loop.model.plain import ABLE, PlainModel
from seal_env.inner_loop.tokens.answer import AnswerInProgress, check_length
from seal_env.inner_loop.tokens.chat_template import EncodedQuery
from seal_env.types import Answer, Query


@dataclass(frozen=True)
class Verification:
    """matched: how many gold tokens greedy decoding reproduces before the first other one. margin: see Answer."""

    matched: int
    margin: float


class Answerer:
    """Answers queries with one model, one at a time, greedily."""

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
        max_tokens: int,
        plain: PlainModel = ABLE,
    ) -> None:
        self.model, self.tokenizer, self.device, self.max_tokens = model, tokenizer, device, max_tokens
        self.plain = plain

    @torch.no_grad()
    def answer(self, query: Query, encoded: EncodedQuery, decode: bool) -> Answer:
        """The greedy answer; its text stays None if it is wrong and `decode` is False."""
        check_length(query, encoded, self.max_tokens)
        checked = self.verify(encoded)
        exact = checked.matched == len(encoded.gold_T)
        text = query.answer if exact else None
        if not exact and decode:
            text = self.decode(query, encoded, checked.matched)
        return Answer(query.query_id, exact, text, round(checked.margin, 4))

    def verify(self, encoded: EncodedQuery) -> Verification:
        """One forward pass over prompt and gold answer."""
        gold = torch.tensor(encoded.gold_T, device=self.device)
        ids = torch.tensor([[*encoded.prompt_T, *encoded.gold_T[:-1]]], device=self.device)
        logits = self._logits(ids, len(gold), use_cache=False).logits[0, -len(gold) :].float()
        at_gold = logits.gather(1, gold[:, None]).squeeze(1)
        rivals = logits.scatter(1, gold[:, None], -torch.inf).amax(1)
        wins = logits.argmax(1) == gold
        matched = len(gold) if bool(wins.all()) else int((~wins).nonzero()[0, 0])
        return Verification(matched, float((at_gold - rivals).min()))

    def decode(self, query: Query, encoded: EncodedQuery, verified: int) -> str:
        """Greedy decoding after the first `verified` gold tokens, with a key-value cache where the model has one."""
        answer = AnswerInProgress(query, encoded, verified, self.tokenizer, self.max_tokens)
        ids, cache, unfinished = torch.tensor([[*encoded.prompt_T, *answer.ids]], device=self.device), None, not answer.full
        while unfinished:
            if self.plain.caches:
                output = self._logits(ids, 1, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
            else:
                output = self._logits(ids, 1, use_cache=False)
            token = int(output.logits[0, -1].argmax())
            unfinished = answer.take(token)
            following = torch.tensor([[token]], device=self.device)
            ids = following if self.plain.caches else torch.cat([ids, following], dim=1)
        return answer.text

    def _logits(self, ids: torch.Tensor, last: int, **named: Any) -> Any:
        """The model's output; where the model can, with logits at the last positions alone."""
        return self.model(input_ids=ids, **named, **({"logits_to_keep": last} if self.plain.keeps else {}))
