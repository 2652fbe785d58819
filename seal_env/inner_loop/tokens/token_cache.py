"""A cache of tokens: each example and each query is encoded once for all inner loops on one base model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seal_env.errors import ModelError
from seal_env.forking import Lock
from seal_env.inner_loop.tokens.chat_template import ChatEncoder, EncodedExample, EncodedQuery
from seal_env.types import Example, Message, Query, Recipe

if TYPE_CHECKING:
    from seal_env.inner_loop.model.frozen_lm import FrozenLM

CACHED_TOKENS = 4_000_000
SAMPLES = Example((Message("user", "question"), Message("assistant", "answer"))), Example(document="text")


class JobEncoder:
    """Encodes examples and queries for one base model. Thread-safe.

    All methods raise ModelError if the model's chat template cannot render a message, or for tokens that the model lacks.
    """

    def __init__(self, base: FrozenLM) -> None:
        self._encoder = ChatEncoder(base.tokenizer, base.name, base.template)
        self._name, self._longest, self._rows = base.name, base.max_tokens, base.embedding_rows
        self._examples: dict[tuple[Example, bool, bool, bool], EncodedExample] = {}
        self._queries: dict[Query, EncodedQuery] = {}
        self._tokens = 0
        self._turn = Lock()  # two threads cannot use a tokenizer at once

    def example(self, example: Example, recipe: Recipe) -> EncodedExample:
        """Tokens of a training example, with the recipe's quirks."""
        # What its encoding depends on:
        key = (example, recipe.double_bos, recipe.trailing_prompt, recipe.learn_end)
        with self._turn.held():
            if key not in self._examples:
                encoded = self._encoder.encode_example(example, recipe)
                self._check(encoded.ids_T)
                self._make_room(len(encoded.ids_T))
                self._examples[key] = encoded
            return self._examples[key]

    def query(self, query: Query) -> EncodedQuery:
        """Tokens of a query's prompt and of its gold answer."""
        with self._turn.held():
            if query not in self._queries:
                encoded = self._encoder.encode_query(query)
                self._check((*encoded.prompt_T, *encoded.gold_T))
                self._make_room(len(encoded.prompt_T) + len(encoded.gold_T))
                self._queries[query] = encoded
            return self._queries[query]

    def _check(self, ids: Sequence[int]) -> None:
        """Raise ModelError for a token that the model cannot read."""
        beyond = [token for token in ids if token >= self._rows]
        if beyond:
            token = self._encoder.tokenizer.convert_ids_to_tokens(beyond[0])
            raise ModelError(
                f"model={self._name!r}: its tokenizer writes {token!r} as token {beyond[0]}, but its embedding has "
                f"{self._rows} rows. Use the model's own tokenizer, or enlarge the embedding with resize_token_embeddings"
            )

    def _make_room(self, tokens: int) -> None:
        self._tokens += tokens
        if self._tokens > CACHED_TOKENS:
            self._examples.clear()
            self._queries.clear()
            self._tokens = tokens

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """See InnerLoop."""
        return [len(self.example(example, Recipe()).ids_T) for example in examples]

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop: the context length, less what the recipe's quirks add to each training example."""
        plain, quirky = ([len(self.example(each, chosen).ids_T) for each in SAMPLES] for chosen in (Recipe(), recipe))
        return self._longest - max(more - length for more, length in zip(quirky, plain, strict=True))
