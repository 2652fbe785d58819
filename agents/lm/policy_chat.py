"""What a language model is told that is to write a self-edit, and what is made of its reply."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from seal_env.agents.lm.text_styles import TOOL_CALL_STYLE, style_messages
from seal_env.domains import arc
from seal_env.errors import SettingError
from seal_env.self_edits.prompt import ROLE, chat_messages, described_task
from seal_env.tools.base import Tool
from seal_env.types import Message

STYLE_OF_DOMAIN: Final = {"arc": TOOL_CALL_STYLE, "knowledge": "implications"}
"""The style that `style=None` stands for."""

NATIVE_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
THOUGHT, END_OF_THOUGHT = "<think>", "</think>"


@dataclass(frozen=True)
class PolicyChat:
    """How a policy is asked: for calls of these tools, by the environment's own prompt, or for texts in a style."""

    tools: tuple[Tool[Any], ...] = arc.TOOLS
    style: str = TOOL_CALL_STYLE

    @property
    def wants_texts(self) -> bool:
        """Whether the reply is texts, one document a line, and no tool calls."""
        return self.style != TOOL_CALL_STYLE

    def messages(self, observation: str) -> tuple[Message, ...]:
        """The chat that asks for a self-edit. Raises ValueError where a style finds no task in the observation."""
        return style_messages(self.style, shown_task(observation)) if self.wants_texts else chat_messages(observation)


def policy_chat(style: str | None, domain: str, tools: tuple[Tool[Any], ...] = arc.TOOLS) -> PolicyChat:
    """The chat of `PolicyOptions.style` in a domain with these tools. Raises SettingError for texts where none are read."""
    if domain not in STYLE_OF_DOMAIN:
        raise SettingError("domain", domain, " or ".join(map(repr, STYLE_OF_DOMAIN)))
    wanted = style or STYLE_OF_DOMAIN[domain]
    if wanted != TOOL_CALL_STYLE and domain != "knowledge":
        raise SettingError("style", style, f"{TOOL_CALL_STYLE!r} where domain={domain!r}: only tool calls are read there")
    return PolicyChat(tools, wanted)


def shown_task(observation: str) -> str:
    """The description of the task in the newest prompt that an observation holds, be it after what was said before.

    Raises ValueError if there is none.
    """
    return described_task(observation[max(observation.rfind(ROLE), 0) :])


def as_action(answer: str) -> str:
    """An answer as the environment reads it: no thoughts, and calls between <tool_call> tags as a list of them.

    An answer that was cut off within its thoughts is empty.
    """
    _, ended, said = answer.rpartition(END_OF_THOUGHT)
    if not ended and answer.lstrip().startswith(THOUGHT):
        return ""
    calls = NATIVE_CALL.findall(said)
    return f"[{', '.join(calls)}]" if calls else said
