"""A token of an answer."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Token(NamedTuple):
    """A word, a number, a date or a mark in its normal form.

    key: What is compared. glued: Nothing but a hyphen stands between it and the token before. capital: It is written with a
    capital letter. possessive: It is written with 's.
    """

    key: str
    kind: Literal["word", "number", "date", "mark"] = "word"
    glued: bool = False
    capital: bool = False
    possessive: bool = False
