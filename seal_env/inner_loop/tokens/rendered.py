"""Chats as text, and where in it each message is.

A template is applied to placeholders, and the messages take their place afterwards. So it is known to the character where
each message begins and ends, and nothing that a message says can change what the template writes around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError

from seal_env.errors import ModelError
from seal_env.inner_loop.tokens.template import ChatTemplate
from seal_env.types import Message

PLACEHOLDER: Final = re.compile("zq7x([0-9]{4})x7qz")
REMEMBERED: Final = 256
"""Outlines that are kept for other messages."""

Span = tuple[int, int]
"""Where something begins and ends, in characters."""
Outline = tuple[str | int, ...]
"""What a template writes, in order: its own texts, and numbers of messages."""
Chat = list[dict[str, Any]]


@dataclass(frozen=True)
class RenderedChat:
    """A chat as text.

    Attributes:
        text: All of it.
        contents: Where the messages are, in the order of the text, without white space around them.
        last: Where the last message is.
    """

    text: str
    contents: tuple[Span, ...]
    last: Span


class ChatRenderer:
    """Renders chats by one template.

    Args:
        template: The template.
        name: Of the model, used in messages.
        tools: Shown to the template as JSON schemas; None for none.
    """

    def __init__(self, template: ChatTemplate, name: str, tools: Sequence[Mapping[str, Any]] | None = None) -> None:
        self._template, self._name, self._tools = template, name, tools
        self._outlines: dict[tuple[Any, ...], Outline] = {}

    def render(self, messages: Sequence[Message], generation_prompt: bool) -> RenderedChat:
        """The chat as the template writes it.

        Raises:
            ModelError: If the template refuses it, or leaves out one of its messages.
        """
        bare = [message.content.strip() for message in messages]
        edges = tuple(_edges(message.content) for message in messages)
        key = (tuple(message.role for message in messages), edges, generation_prompt)
        if key not in self._outlines:
            if len(self._outlines) >= REMEMBERED:
                self._outlines.clear()
            self._outlines[key] = self._outline(*key)
        parts, contents, length, last = list[str](), list[Span](), 0, (0, 0)
        for part in self._outlines[key]:
            parts.append(part if isinstance(part, str) else bare[part])
            if not isinstance(part, str):
                contents.append((length, length + len(parts[-1])))
                last = contents[-1] if part == len(bare) - 1 else last
            length += len(parts[-1])
        return RenderedChat("".join(parts), tuple(contents), last)

    def _outline(self, roles: Sequence[str], edges: Sequence[tuple[str, str]], generation_prompt: bool) -> Outline:
        """What the template makes of placeholders with the messages' own white space around them."""
        texts = [f"{before}zq7x{number:04d}x7qz{after}" for number, (before, after) in enumerate(edges)]
        reason = "it leaves out a message"
        for chat in _forms(roles, texts):
            try:
                rendered = self._template.apply(chat, generation_prompt, self._tools)
            except (TemplateError, TypeError) as error:
                reason = str(error)
                continue
            pieces = PLACEHOLDER.split(rendered)
            outline = tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces))
            if set(range(len(texts))) <= set(outline[1::2]):
                return outline
        raise ModelError(f"model={self._name!r}: its chat template fails: {reason}")


def _edges(content: str) -> tuple[str, str]:
    """White space before and after a content."""
    left = content[: len(content) - len(content.lstrip())]
    return left, content[len(content.rstrip()) :] if len(left) < len(content) else ""


def _forms(roles: Sequence[str], texts: Sequence[str]) -> Iterator[Chat]:
    """A chat as templates may want it: contents as text, or as lists of parts; and with the system message in the user's."""
    chats = [list(zip(roles, texts, strict=True))]
    if roles[0] == "system" and len(roles) > 1:
        chats.append([(roles[1], f"{texts[0]}\n\n{texts[1]}"), *chats[0][2:]])
    for chat in chats:
        yield [{"role": role, "content": text} for role, text in chat]
        yield [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in chat]
