"""The chat that asks a language model for a self-edit, and how its answer becomes an action."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seal_env.agents.base import Info
from seal_env.agents.lm.text_styles import TOOL_CALL_STYLE, style_messages
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.self_edits.call_forms.table import first_mark
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import DIVIDER, parse_or_read, plain_text
from seal_env.self_edits.prompt import chat_messages
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.thoughts import UnreadableError, after_thoughts, has_thought
from seal_env.tools.base import Tool
from seal_env.types import InvalidSelfEdit, Message

Chat = tuple[Message, ...]
"""Messages of a chat, the last of which is the user's."""

LONGEST = 1_000_000
"""Characters of an answer, thoughts included, that is read."""

DEFAULT_TEXT_STYLE = "implications"
"""The style that `style=None` stands for where a domain learns from texts; anywhere else it is TOOL_CALL_STYLE."""


@dataclass(frozen=True)
class PolicyChat:
    """How a policy is prompted.

    Attributes:
        tools: The environment's tools.
        style: TOOL_CALL_STYLE for calls of these tools, by the environment's own prompt, or a style of texts.
        mix: Styles of texts of which one self-edit has a reply each, in this order; none is one reply in `style`.
    """

    tools: tuple[Tool[Any], ...]
    style: str = TOOL_CALL_STYLE
    mix: tuple[str, ...] = ()

    @classmethod
    def of(cls, runtime: Runtime, style: str | None, mix: Sequence[str] = ()) -> PolicyChat:
        """The chat of an environment.

        Args:
            runtime: Of the environment.
            style: `PolicyOptions.style`.
            mix: `LocalPolicyOptions.mix`.

        Raises:
            SettingError: For a style of texts where the domain does not learn from texts.
        """
        reads_text = runtime.spec.reads_plain_text
        wanted = style or (DEFAULT_TEXT_STYLE if reads_text else TOOL_CALL_STYLE)
        if wanted != TOOL_CALL_STYLE and not reads_text:
            legal = f"{TOOL_CALL_STYLE!r} where domain={runtime.spec.name!r}: only tool calls are read there"
            raise SettingError("style", style, legal)
        if mix and not reads_text:
            legal = f"none where domain={runtime.spec.name!r}: only tool calls are read there"
            raise SettingError("mix", ",".join(mix), legal)
        return cls(runtime.tools, mix[0] if mix else wanted, tuple(mix))

    @property
    def wants_texts(self) -> bool:
        """Whether the answer is plain text, one document a line, and no tool calls."""
        return self.style != TOOL_CALL_STYLE

    def messages(self, observation: str, info: Info) -> Chat:
        """The chat for an observation.

        Args:
            observation: What tool calls are asked for with.
            info: What came with it; texts are asked for with `info["task"]["text"]`.
        """
        return style_messages(self.style, str(info["task"]["text"])) if self.wants_texts else chat_messages(observation)

    def parts(self, observation: str, info: Info) -> tuple[Chat, ...]:
        """The chats for an observation whose answers, joined, are one self-edit: one, or one for each style of `mix`."""
        if not self.mix:
            return (self.messages(observation, info),)
        return tuple(style_messages(style, str(info["task"]["text"])) for style in self.mix)

    def join(self, answers: Sequence[str]) -> str:
        """The self-edit of which these are the answers to `parts`.

        Of a mix an answer that is no text to learn says nothing: one that declines, tool calls, what cannot be read. The
        others are kept; where there are none, the self-edit is a mistake.
        """
        if not self.mix:
            return answers[0]
        said = [answer if isinstance(plain_text(answer), str) else "" for answer in answers]
        written = _joined(answers)
        if any(said) or not isinstance(parse_or_read(written), InvalidSelfEdit):
            return _joined(said)
        return written

    def divide(self, action: str) -> tuple[str, ...]:
        """The answers that were joined. Raises ValueError if there is another number of them."""
        if not self.mix:
            return (action,)
        answers: list[list[str]] = [[]]
        for line in action.split("\n"):
            if line == DIVIDER:
                answers.append([])
            else:
                answers[-1].append(line)
        if len(answers) != len(self.mix):
            raise ValueError(f"the action has {len(answers)} replies, not {len(self.mix)}")
        return tuple("\n".join(lines) for lines in answers)


def _joined(answers: Sequence[str]) -> str:
    return f"\n{DIVIDER}\n".join("\n".join(_lines(answer)) for answer in answers)


def _lines(answer: str) -> list[str]:
    """The lines of an answer, without those that would divide it."""
    return [line for line in answer.split("\n") if line.strip() != DIVIDER]


def as_action(answer: str) -> str:
    """An answer as the environment reads it: without thoughts, and calls in a model family's own form as one JSON list.

    An answer that was cut off within its thoughts is empty. One of more than LONGEST characters is shortened, but stays too
    long for the environment. What has neither thoughts nor the mark of a call, and what cannot be read, stays as it is.
    """
    if len(answer) > LONGEST:
        return answer[: MAX_CHARACTERS + 1]
    if first_mark(answer) is None and not has_thought(answer):
        return answer
    try:
        text = after_thoughts(answer)
    except UnreadableError:
        return ""
    mark = first_mark(text)
    calls = parse(text) if mark == 0 or (mark and text[0] not in "[{") else None
    if not isinstance(calls, tuple):
        return text
    return json.dumps([{"name": call.name, "arguments": dict(call.arguments)} for call in calls])
