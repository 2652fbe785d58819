"""Chats as tokens: which ids the model reads, and which of them carry loss.

No token id is written down here. What belongs to the answer is found by rendering the chat template twice, with and
without the answer, and by the tokenizer's own character offsets; so any template and any fast tokenizer will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from seal_env.errors import ModelError
from seal_env.types import Example, Message, Query, Recipe, Strategy


@dataclass(frozen=True)
class EncodedExample:
    """A training example as tokens. answer_T: True where the token of ids_T belongs to the answer or ends its turn."""

    ids_T: tuple[int, ...]
    answer_T: tuple[bool, ...]

    def supervised(self, strategy: Strategy) -> tuple[bool, ...]:
        """True for the tokens whose prediction carries loss; the first token is predicted from nothing, so never."""
        if strategy == "train_using_all_tokens":
            return (False, *(True for _ in self.ids_T[1:]))
        return (False, *self.answer_T[1:])


@dataclass(frozen=True)
class EncodedQuery:
    """A query as tokens: the prompt, the gold answer with the token that ends its turn, and every token that ends a turn.

    opening: how many tokens of gold_T the template puts before the answer itself, as empty thoughts.
    """

    prompt_T: tuple[int, ...]
    gold_T: tuple[int, ...]
    stop_ids: frozenset[int]
    opening: int = 0


class ChatEncoder:
    """Renders and tokenizes chats with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        self.tokenizer: Any = tokenizer  # its own annotations are unions of all that any tokenizer may return
        self.name = name
        self._adds_bos = self._tokenize_plain("")[:1] == [tokenizer.bos_token_id] != [None]

    def _tokenize_plain(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def render(self, messages: Sequence[Message], generation_prompt: bool) -> str:
        """The chat as text, by the tokenizer's own template."""
        chat = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=generation_prompt))
        except TemplateError as error:
            if chat[0]["role"] != "system" or len(chat) < 2:
                raise ModelError(f"model={self.name!r}: its chat template fails: {error}") from error
            merged = Message("user", f"{messages[0].content}\n\n{messages[1].content}")  # templates without a system role
            return self.render((merged, *messages[2:]), generation_prompt)

    def tokenize(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """(ids, character spans) of rendered text with exactly one BOS, where the tokenizer uses one."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = list(encoded["input_ids"]), list(encoded["offset_mapping"])
        bos = self.tokenizer.bos_token_id
        if self._adds_bos and ids[:1] != [bos]:
            ids, spans = [bos, *ids], [(0, 0), *spans]
        return ids, spans

    def _answer_span(self, messages: Sequence[Message]) -> tuple[str, int, int]:
        """(rendered chat, where the answer's turn begins, where its content ends), in characters."""
        full = self.render(messages, generation_prompt=False)
        prompt = self.render(messages[:-1], generation_prompt=True)
        content = messages[-1].content.strip()
        end = full.rfind(content) + len(content)
        begin = len(prompt) if full.startswith(prompt) else full.rfind(content)
        if end < len(content) or begin > end:
            raise ModelError(f"model={self.name!r}: its chat template does not show the answer as it was written")
        return full, begin, end

    def encode_example(self, example: Example, recipe: Recipe) -> EncodedExample:
        """Tokens of a training example; the recipe's quirks (two BOS, a trailing generation prompt) are applied here.

        Those are quirks of chats. A document is its own tokens, behind BOS where the tokenizer has one, before EOS with
        `learn_end`.
        """
        if example.document is not None:
            whole = (*self.tokenize(example.document)[0], *((self._eos,) if recipe.learn_end else ()))
            return EncodedExample(whole, tuple(True for _ in whole))
        full, begin, end = self._answer_span(example.messages)
        everything, spans = self.tokenize(full)
        ids = self._to_end_of_turn(full, everything, spans, end)
        first = _first_after(spans, begin)
        answer = [first <= index for index in range(len(ids))]
        if recipe.trailing_prompt:
            tail = self.render(example.messages, generation_prompt=True)[len(full) :]
            extra = [*everything[len(ids) :], *self.tokenizer(tail, add_special_tokens=False)["input_ids"]]
            ids, answer = [*ids, *extra], [*answer, *(True for _ in extra)]
        bos = self.tokenizer.bos_token_id
        if recipe.double_bos and bos is not None and ids[0] == bos:
            ids, answer = [bos, *ids], [False, *answer]
        return EncodedExample(tuple(ids), tuple(answer))

    def encode_query(self, query: Query) -> EncodedQuery:
        """Tokens of a query: the prompt exactly as generation sees it, and the gold answer's canonical tokens after it."""
        if query.prompt is not None:
            return self._encode_prompt(query.prompt, query.answer)
        chat = (*query.messages, Message("assistant", query.answer))
        full, _, end = self._answer_span(chat)
        prompt, _ = self.tokenize(self.render(query.messages, generation_prompt=True))
        ids, spans = self.tokenize(full)
        ids = self._to_end_of_turn(full, ids, spans, end)
        if ids[: len(prompt)] == prompt:
            gold, opening = ids[len(prompt) :], _first_after(spans, end - len(query.answer.strip())) - len(prompt)
        else:  # the answer's first token merges with the prompt's last: generation cannot produce that
            gold, opening = [*self.tokenizer(query.answer, add_special_tokens=False)["input_ids"], ids[-1]], 0
        return EncodedQuery(tuple(prompt), tuple(gold), frozenset({ids[-1], self._eos}), opening)

    def _encode_prompt(self, prompt: str, answer: str) -> EncodedQuery:
        """A text, and the answer that goes on from it after a space and ends with EOS."""
        ids, _ = self.tokenize(prompt)
        whole, _ = self.tokenize(f"{prompt} {answer.strip()}")
        if whole[: len(ids)] != ids:  # the space merges with the prompt's last token: generation cannot produce that
            whole = [*ids, *self.tokenizer(f" {answer.strip()}", add_special_tokens=False)["input_ids"]]
        return EncodedQuery(tuple(ids), (*whole[len(ids) :], self._eos), frozenset({self._eos}))

    def _to_end_of_turn(self, full: str, ids: list[int], spans: Sequence[tuple[int, int]], end: int) -> list[int]:
        """The ids up to the token that ends the turn whose content ends at character `end`; EOS if the template has none.

        White space between the content and that token is no end of a turn: a grid has it within.
        """
        closing = len(full) - len(full[end:].lstrip())
        last = next((i for i, (start, stop) in enumerate(spans) if start >= end and stop > closing), None)
        if last is not None:
            return ids[: last + 1]
        return [*(token for token, (start, _) in zip(ids, spans, strict=True) if start < end), self._eos]

    @property
    def _eos(self) -> int:
        return int(self.tokenizer.eos_token_id)


def _first_after(spans: Sequence[tuple[int, int]], character: int) -> int:
    """Index of the first token that ends after this character."""
    return next((index for index, (_, stop) in enumerate(spans) if stop > character), len(spans))
