"""Abbreviations beside what they are short for: "East African Community (EAC)", "EAC (East African Community)"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seal_env.tasks.knowledge.grading.english import LIGHT
from seal_env.tasks.knowledge.grading.names import initials_of
from seal_env.tasks.knowledge.grading.text_token import Token

_LONGEST: Final = 6
"""Tokens from bracket to bracket of an abbreviation; twice as many of what it is short for."""


def one_of_both(said: Sequence[Token], meant: Sequence[Token]) -> tuple[Token, ...]:
    """The answer without the abbreviation, or without what it is short for if the gold answer is the abbreviation."""
    kept: list[Token] = []
    at, wanted = 0, {token.key for token in meant if token.kind == "word" and token.key not in LIGHT}
    while at < len(said):
        end = _closes(said, at)
        within = [token for token in said[at + 1 : end] if token.kind == "word" and token.key != "and"] if end else []
        if end and kept and (start := _long_form(within, kept)) is not None and not wanted.isdisjoint(_keys(within)):
            kept[start:] = within
            at = end
        elif end and kept and _long_form(kept[-1:], within) == 0:
            if not wanted.isdisjoint(_keys(within)) and kept[-1].key not in wanted:
                kept[-1:] = within
            at = end
        elif (
            0 < end < at + _LONGEST
            and said[end - 1].key != "?"
            and wanted.isdisjoint(_keys(within))
            and _in_order(within, kept)
        ):
            at = end
        else:
            kept.append(said[at])
        at += 1
    return tuple(kept)


def _closes(said: Sequence[Token], at: int) -> int:
    """Where the bracket closes that opens here; 0 if none does."""
    if said[at].key != "(":
        return 0
    return next((end for end in range(at + 2, min(at + 2 * _LONGEST, len(said))) if said[end].key == ")"), 0)


def _keys(found: Sequence[Token]) -> set[str]:
    return {token.key for token in found}


def _long_form(short: Sequence[Token], words: Sequence[Token]) -> int | None:
    """Where in the words the long form of a single abbreviation begins, which ends with the last of them; None if not so."""
    if len(short) != 1 or not short[0].written.isupper() or len(short[0].key) < 2:
        return None
    letters, at = list(short[0].key.lower()), len(words)
    while letters and at > 0:
        at -= 1
        initials = initials_of(words[at])
        if words[at].kind == "word" and "".join(letters).endswith(initials):
            del letters[-len(initials) :]
        elif words[at].key not in LIGHT:
            return None
    return None if letters else at


def _in_order(short: Sequence[Token], words: Sequence[Token]) -> bool:
    """The letters of the abbreviations are initials of the words before, in their order."""
    initials = iter([letter for word in words[-2 * _LONGEST :] if word.kind == "word" for letter in initials_of(word)])
    return all(letter in initials for token in short for letter in token.key.lower() if letter.isalpha())
