"""The chat that asks a language model for a self-edit, and how its answer becomes an action."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from seal_env.agents.base import Info
from seal_env.agents.lm.text_styles import TOOL_CALL_STYLE, style_messages
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.self_edits.call_forms.table import first_mark
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.thoughts import UnreadableError, after_thoughts, has_thought
from seal_env.tools.base import Tool
from seal_env.types import Message

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
    """

    tools: tuple[Tool[Any], ...]
    style: str = TOOL_CALL_STYLE

    @classmethod
    def of(cls, runtime: Runtime, style: str | None) -> PolicyChat:
        """The chat of an environment.

        Args:
            runtime: Of the environment.
            style: `PolicyOptions.style`.

        Raises:
            SettingError: For a style of texts where the domain does not learn from texts.
        """
        reads_text = runtime.spec.reads_plain_text
        wanted = style or (DEFAULT_TEXT_STYLE if reads_text else TOOL_CALL_STYLE)
        if wanted != TOOL_CALL_STYLE and not reads_text:
            legal = f"{TOOL_CALL_STYLE!r} where domain={runtime.spec.name!r}: only tool calls are read there"
            raise SettingError("style", style, legal)
        return cls(runtime.tools, wanted)

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
