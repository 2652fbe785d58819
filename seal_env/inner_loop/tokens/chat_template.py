"""Chats as tokens: which ids the model reads, and which of them carry loss.

No token id is written down here. The chat template says where the answer is (see `seal_env.inner_loop.tokens.rendered`), and
the tokenizer's own character offsets say which tokens that is; so any template and any fast tokenizer will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments
from seal_env.inner_loop.tokens.rendered import ChatRenderer, RenderedChat, Span
from seal_env.inner_loop.tokens.template import ChatTemplate
from seal_env.inner_loop.tokens.text_tokens import TextTokenizer
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

    The prompt is all that a training example has before its answer, with what the template writes there, as empty thoughts.
    """

    prompt_T: tuple[int, ...]
    gold_T: tuple[int, ...]
    stop_ids: frozenset[int]


class _EncodedChat(NamedTuple):
    """A chat whose last message is an answer.

    ids: up to the end of its turn. first: index of the answer's first token. end: where the last of the ids ends, in
    characters of the text. rest: the ids after them.
    """

    rendered: RenderedChat
    ids: list[int]
    first: int
    end: int
    rest: list[int]


class ChatEncoder:
    """Renders and tokenizes chats with one tokenizer.

    Args:
        tokenizer: A fast one, with a chat template.
        name: Of the model, used in messages.
        arguments: What the template is given beside messages.
        tools: Shown to the template as JSON schemas; None for none.

    Raises:
        SettingError: For an argument that the template does not read.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        name: str,
        arguments: TemplateArguments = DEFAULT,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self.tokenizer: Any = tokenizer  # its own annotations are unions of all that any tokenizer may return
        self.name = name
        self.template = ChatTemplate(tokenizer, name, arguments)
        self._renderer = ChatRenderer(self.template, name, tools)
        self._text = TextTokenizer(tokenizer)
        self._adds_bos = list(self.tokenizer("")["input_ids"])[:1] == [tokenizer.bos_token_id] != [None]
        self._added = frozenset(self._text.added.values())

    def render(self, messages: Sequence[Message], generation_prompt: bool) -> str:
        """The chat as text, by the tokenizer's own template. Raises ModelError if the template refuses it."""
        return self._renderer.render(messages, generation_prompt).text

    def tokenize(self, text: str, written: Sequence[Span] = ()) -> tuple[list[int], list[Span]]:
        """(ids, character spans) of text with exactly one BOS, where the tokenizer uses one. See `TextTokenizer`."""
        ids, spans = self._text.tokenize(text, written)
        bos = self.tokenizer.bos_token_id
        if self._adds_bos and ids[:1] != [bos]:
            ids, spans = [bos, *ids], [(0, 0), *spans]
        return ids, spans

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a chat up to where the model begins to write, thoughts included where the template opens them."""
        rendered = self._renderer.render(messages, generation_prompt=True)
        return self.tokenize(rendered.text, rendered.contents)[0]

    def encode_example(self, example: Example, recipe: Recipe) -> EncodedExample:
        """Tokens of a training example; the recipe's quirks (two BOS, a trailing generation prompt) are applied here.

        Those are quirks of chats. A document is its own tokens, behind BOS where the tokenizer has one, before EOS with
        `learn_end`.
        """
        if example.document is not None:
            ids, _ = self.tokenize(example.document, [(0, len(example.document))])
            whole = (*ids, *((self._eos,) if recipe.learn_end else ()))
            return EncodedExample(whole, tuple(True for _ in whole))
        chat = self._encode_chat(example.messages)
        ids = [*chat.ids, *(self._trailing(example.messages, chat) if recipe.trailing_prompt else ())]
        answer = [chat.first <= index for index in range(len(ids))]
        bos = self.tokenizer.bos_token_id
        if recipe.double_bos and bos is not None and ids[0] == bos:
            ids, answer = [bos, *ids], [False, *answer]
        return EncodedExample(tuple(ids), tuple(answer))

    def encode_query(self, query: Query) -> EncodedQuery:
        """Tokens of a query: those of the training example that teaches its answer, so that it is asked for as learned."""
        if query.prompt is not None:
            return self._encode_prompt(query.prompt, query.answer)
        chat = self._encode_chat((*query.messages, Message("assistant", query.answer)))
        prompt, gold = tuple(chat.ids[: chat.first]), tuple(chat.ids[chat.first :])
        return EncodedQuery(prompt, gold, frozenset({gold[-1], self._eos}))

    def _encode_prompt(self, prompt: str, answer: str) -> EncodedQuery:
        """A text, and the answer that goes on from it after a space and ends with EOS."""
        ids, _ = self.tokenize(prompt, [(0, len(prompt))])
        text = f"{prompt} {answer.strip()}"
        whole, _ = self.tokenize(text, [(0, len(text))])
        if whole[: len(ids)] != ids:  # the space merges with the prompt's last token: generation cannot produce that
            whole = [*ids, *self._text.tokenize(f" {answer.strip()}", [(0, len(text))])[0]]
        return EncodedQuery(tuple(ids), (*whole[len(ids) :], self._eos), frozenset({self._eos}))

    def _encode_chat(self, messages: Sequence[Message]) -> _EncodedChat:
        rendered = self._renderer.render(messages, generation_prompt=False)
        text, (begin, end) = rendered.text, rendered.last
        ids, spans = self.tokenize(text, rendered.contents)
        first = _first_after(spans, begin)
        start = spans[first][0] if first < len(spans) else begin
        if start < begin and not self._is_white_space_of_the_answer(messages, rendered, start):
            # The answer's first token merges with what is before it, which generation cannot produce: they are kept apart.
            ids, spans = self.tokenize(text[:begin], rendered.contents[:-1])
            first = len(ids)
            after, places = self._text.tokenize(text[begin:], [(0, end - begin)])
            ids, spans = [*ids, *after], [*spans, *((left + begin, right + begin) for left, right in places)]
        last = self._end_of_turn(text, ids, spans, end)
        if last is not None:
            return _EncodedChat(rendered, ids[: last + 1], first, spans[last][1], ids[last + 1 :])
        known = [token for token, (start, _) in zip(ids, spans, strict=True) if start < end]
        if known and spans[len(known) - 1][1] > end:  # the answer's last token merges with what comes after it
            ids, _ = self.tokenize(text[:end], rendered.contents)
            known = ids
        return _EncodedChat(rendered, [*known, self._eos], first, len(text), ids[len(known) :])

    def _is_white_space_of_the_answer(self, messages: Sequence[Message], rendered: RenderedChat, start: int) -> bool:
        """Whether what is between `start` and the answer is white space that comes after the generation prompt."""
        prompt = self.render(messages[:-1], generation_prompt=True)
        text, begin = rendered.text, rendered.last[0]
        return not text[start:begin].strip() and len(prompt) <= start and text.startswith(prompt)

    def _trailing(self, messages: Sequence[Message], chat: _EncodedChat) -> list[int]:
        """What follows the end of the answer's turn where one more generation prompt does."""
        prompted, text = self._renderer.render(messages, generation_prompt=True).text, chat.rendered.text
        if not prompted.startswith(text):
            return self._text.tokenize(prompted[chat.end :])[0]
        return [*chat.rest, *self._text.tokenize(prompted[len(text) :])[0]]

    def _end_of_turn(self, text: str, ids: Sequence[int], spans: Sequence[Span], end: int) -> int | None:
        """Index of the token that ends the turn whose content ends at character `end`; None if the template has none.

        White space between the content and that token is no end of a turn: a grid has it within. Nor is a text, whose first
        token an answer may have within: only an added token is.
        """
        closing = len(text) - len(text[end:].lstrip())
        last = next((i for i, (start, stop) in enumerate(spans) if start >= end and stop > closing), None)
        return last if last is not None and ids[last] in self._added | {self._eos} else None

    @property
    def _eos(self) -> int:
        return int(self.tokenizer.eos_token_id)


def _first_after(spans: Sequence[Span], character: int) -> int:
    """Index of the first token that ends after this character."""
    return next((index for index, (_, stop) in enumerate(spans) if stop > character), len(spans))
