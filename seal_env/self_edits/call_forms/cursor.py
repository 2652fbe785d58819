"""A position in a text that moves forward only, so that a reader of a form takes time linear in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seal_env.self_edits.untrusted_json import JSON, loads, shown
from seal_env.thoughts import SPACE, UnreadableError, end_of_json

Call = dict[str, JSON]
"""A call as its form has it: an object that `parse_calls` reads."""

NAME = re.compile(r"[A-Za-z_][\w.\-]*+")


_NO_WORDS = re.compile(
    r"[{}\[\]✿]|<(?:[/|｜A-Za-z]|$)|>>>|functions\.|```|\b[A-Za-z_]\w*+\((?:\)|\w*+[ ]?=)|Action(?: Input)?:"
    r"|(?m:^[ \t]*+(?i:action(?: input)?:))"
)
"""What words between calls never have: parts of a call of any form, or the beginning of one."""


class Cursor:
    """A position in a text.

    Attributes:
        text: the whole text.
        position: index of the next character.
    """

    def __init__(self, text: str, position: int = 0) -> None:
        self.text, self.position = text, position

    @property
    def at_end(self) -> bool:
        """Whether nothing but white space is left."""
        self.skip_space()
        return self.position == len(self.text)

    def skip_space(self) -> None:
        """Go to the next character that is no white space."""
        self.match(SPACE)

    def at(self, *literals: str) -> bool:
        """Whether one of the literals is next."""
        return self.text.startswith(literals, self.position)

    def take(self, *literals: str) -> bool:
        """Skip white space and the first of the literals that is next; False, having skipped the space, if none is."""
        self.skip_space()
        for literal in literals:
            if self.at(literal):
                self.position += len(literal)
                return True
        return False

    def expect(self, *literals: str) -> None:
        """`take`, or UnreadableError."""
        if not self.take(*literals):
            raise self.error(f"{literals[0]} is missing")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Skip what the pattern matches here."""
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    def name(self) -> str:
        """Skip a tool's name, or UnreadableError."""
        self.skip_space()
        found = self.match(NAME)
        if found is None:
            raise self.error("the name of a tool is missing")
        return found[0]

    def until(self, literal: str) -> str:
        """The text before the literal; the position is behind it. UnreadableError if there is none."""
        end = self.text.find(literal, self.position)
        if end < 0:
            raise self.error(f"{literal} is missing")
        passed, self.position = self.text[self.position : end], end + len(literal)
        return passed

    def json(self) -> JSON:
        """Skip an object or a list, with or without a fence around it, and return it."""
        self.skip_space()
        fenced = self.take("```json", "```")
        self.skip_space()
        start = self.position
        if not self.at("{", "["):
            raise self.error("an object in JSON is missing")
        self.position = json_end(self.text, start)
        try:
            value = loads(self.text[start : self.position])
        except ValueError as error:
            raise UnreadableError(str(error)) from None
        if fenced:
            self.expect("```")
        return value

    def error(self, what: str) -> UnreadableError:
        """An UnreadableError that says what is wrong, and where."""
        rest = shown(self.text[self.position : self.position + 40], 30)
        return UnreadableError(f"{what} before {rest}" if rest != '""' else f"{what} at the end")


def json_end(text: str, start: int) -> int:
    """Index behind the object or list that begins at `start`, by its brackets; UnreadableError if they do not match."""
    end = end_of_json(text, start)
    if end is not None:
        return end
    raise UnreadableError(f"its JSON is not complete: {shown(text[start : start + 40], 30)}")


def check_words(text: str) -> None:
    """UnreadableError if a text between calls may have a call in it, whole or in part."""
    found = _NO_WORDS.search(text)
    if found:
        rest = shown(text[found.start() : found.start() + 40], 30)
        raise UnreadableError(f"there may be another call beside those read, at {rest}")


def either_bar(*marks: str) -> tuple[str, ...]:
    """Marks that DeepSeek and Step write with fullwidth bars, and the same with the bars of ASCII, as tools print them."""
    return (*marks, *(mark.replace("｜", "|") for mark in marks))


def objects(value: JSON) -> list[Call]:
    """A JSON value as calls: one object, or a list of them."""
    items: Sequence[JSON] = value if isinstance(value, list) else [value]
    calls = [item for item in items if isinstance(item, dict)]
    if not calls or len(calls) < len(items):
        raise UnreadableError(f"{shown(value, 40)} is not a list of tool calls")
    return calls
