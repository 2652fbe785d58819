"""Answers in other languages than English, of which too little is known to find rivals: they may add nothing.

An answer may hold the gold answer, words of the question, and the few words with which its language makes a sentence of a
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.english import LIGHT, SHARED
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.text_token import Token
from seal_env.unspaced import UNSPACED

_OTHER_SCRIPT: Final = regex.compile(r"(?!\p{Latin})\p{L}")
_UNSPACED: Final = regex.compile(rf"[{UNSPACED}]+")
_FRAMES: Final = frozenset(
    [
        *("是", "的", "答案", "为", "為", "在", "由"),
        *("です", "でした", "だ", "だった", "である", "は", "が", "の", "を", "に", "で", "答え", "こと", "た"),
        *("คือ", "เป็น", "โดย", "ที่"),
    ]
)
"""Words that make a sentence of a name: "is", "was", "the answer", "by", "at"."""


def is_foreign(asked: Sequence[Token], gold: str) -> bool:
    """The question has no light word that is English alone, or the gold answer another script."""
    english = any(token.kind == "word" and token.key in LIGHT and token.key not in SHARED for token in asked)
    return not english or bool(_OTHER_SCRIPT.search(gold))


def says_no_more(reading: Reading) -> bool:
    """Whether the answer adds nothing to the gold answer and the question."""
    keys = {token.key for token in reading.asked}
    letters = {letter for key in keys for letter in key}
    return all(
        at in reading.span
        or token.kind == "mark"
        or token.key in keys | LIGHT | _FRAMES
        or (bool(_UNSPACED.fullmatch(token.key)) and len(token.key) <= 2 and set(token.key) <= letters)
        for at, token in enumerate(reading.said)
    )
