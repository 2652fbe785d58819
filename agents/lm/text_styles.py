"""The prompts for texts about a passage: SEAL's five styles of self-edits and EntiGraph-like relations, in our own words.

A reply in one of these is plain text and is an action as it is: see `raw_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from seal_env.errors import SettingError
from seal_env.types import Message

TOOL_CALL_STYLE: Final = "tools"
"""Not a style of texts: the environment's own prompt, which asks for tool calls."""
StyleName = Literal[
    "tools", "implications", "implications-long", "implications-very-long", "rewrite", "self-qa", "relations", "facts"
]
"""Values of the option `style`: TOOL_CALL_STYLE, the keys of STYLES, and those of SHORT_STYLES."""

SYSTEM = "You write texts from which a language model learns a passage. Reply with the texts only."


@dataclass(frozen=True)
class Style:
    """summary: one line for help texts. instruction: what follows the passage in the prompt."""

    summary: str
    instruction: str


STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "implications": Style(
            "statements that follow from the passage",
            "Write down what follows from the passage, directly or indirectly. One statement a line, each complete by "
            "itself.",
        ),
        "implications-long": Style(
            "many such statements",
            "Write a long list of what follows from the passage: every fact, what it entails, how the facts are connected. "
            "One statement a line, each complete by itself.",
        ),
        "implications-very-long": Style(
            "as many such statements as there are",
            "Write down everything that follows from the passage, as exhaustively as you can: every fact in several "
            "wordings, every consequence, cause and comparison, and what each name, number and date stands for. One "
            "statement a line, each complete by itself.",
        ),
        "rewrite": Style(
            "the passage in other words",
            "Tell the passage again in other words, several times, each time with all that it says. One version a line.",
        ),
        "self-qa": Style(
            "questions with their answers",
            "Ask about everything that the passage says, and answer in few words. Each question is a line that begins with "
            '"Question:"; its answer is the next line and begins with "Answer:".',
        ),
        "relations": Style(
            "how the things that the passage names are related",
            "Take the names and things in the passage two or three at a time and say how they are related. One relation "
            "a line, each complete by itself.",
        ),
    }
)

"""What the bundled text model was trained to answer."""
SHORT_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "facts": Style(
            "a list of facts, asked for in one short sentence that small chat models understand",
            "List the facts in this text, one on each line.",
        )
    }
)
"""Asked without SYSTEM, under the system prompt that the chat template writes itself where there is none."""
ALL_STYLES: Mapping[str, Style] = MappingProxyType({**STYLES, **SHORT_STYLES})


def style_messages(style: str, description: str) -> tuple[Message, ...]:
    """The chat that asks for texts about a passage, which `description` gives as title and text. Raises SettingError."""
    if style not in ALL_STYLES:
        raise SettingError("style", style, " or ".join(map(repr, (TOOL_CALL_STYLE, *ALL_STYLES))))
    asked = Message("user", f"{description}\n\n{ALL_STYLES[style].instruction}")
    return (asked,) if style in SHORT_STYLES else (Message("system", SYSTEM), asked)
