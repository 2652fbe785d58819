"""A greedy answer that grows token by token, and when it ends."""

from __future__ import annotations

from typing import Any

import regex

from seal_env.errors import ModelError
from seal_env.inner_loop.tokens.chat_template import EncodedQuery
from seal_env.types import Query


class AnswerInProgress:
    """A greedy answer that grows token by token, starting with the first `verified` gold tokens."""

    def __init__(self, query: Query, encoded: EncodedQuery, verified: int, tokenizer: Any, max_tokens: int) -> None:
        self._pattern = regex.compile(query.pattern) if query.pattern else None
        self._stops, self._tokenizer = encoded.stop_ids, tokenizer
        self._answer = list(encoded.gold_T[:verified])
        self._limit = min(query.max_answer_tokens, max_tokens - len(encoded.prompt_T))

    @property
    def ids(self) -> list[int]:
        """Tokens so far."""
        return self._answer

    @property
    def full(self) -> bool:
        """True if no further token may follow."""
        return len(self._answer) >= self._limit

    def take(self, token: int) -> bool:
        """Add a token. False if the answer ends here: its turn is over, it is full, or no legal answer starts like this."""
        if token in self._stops:
            return False
        self._answer.append(token)
        if self._pattern and not self._pattern.fullmatch(self.text, partial=True):
            return False
        return not self.full

    @property
    def text(self) -> str:
        """The answer so far."""
        return str(self._tokenizer.decode(self._answer, skip_special_tokens=False))


def check_length(query: Query, encoded: EncodedQuery, max_tokens: int) -> None:
    """Raise ModelError if a query and its answer exceed the model's context."""
    length = len(encoded.prompt_T) + len(encoded.gold_T)
    if length > max_tokens:
        raise ModelError(f"query {query.query_id!r} takes {length} tokens; the model takes at most {max_tokens}")
