"""A token of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple


class Token(NamedTuple):
    """A word, a number, a date or a mark in its normal form.

    key: What is compared. glued: Nothing but a hyphen stands between it and the token before. capital: It is written with a
    capital letter. possessive: It is written with 's. written: As the text has it.
    """

    key: str
    kind: Literal["word", "number", "date", "mark"] = "word"
    glued: bool = False
    capital: bool = False
    possessive: bool = False
    written: str = ""


def rewrite(found: Sequence[Token], at_each: Callable[[Sequence[Token], int], tuple[Token | None, int]]) -> list[Token]:
    """The tokens, some of them replaced.

    Args:
        found: Tokens of a text.
        at_each: (tokens, place) -> what stands there instead, and the place after it; None leaves the token.
    """
    result, at = list[Token](), 0
    while at < len(found):
        token, end = at_each(found, at)
        result.append(found[at] if token is None else token)
        at = at + 1 if token is None else end
    return result
