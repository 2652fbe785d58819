"""Numbers in words: "two hundred and six", "twenty-first", "half a million", "a dozen"."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import regex
from icu4py.messageformat import MessageFormat


def _spelled(pattern: str) -> dict[str, int]:
    """Every number below 100 that ICU spells with a single word, by that word."""
    spell = MessageFormat(pattern, "en")
    return {word: number for number in range(100) if "-" not in (word := str(spell.format({"n": number})))}


PLAIN: Final = regex.compile(r"\d+(?:\.\d+)?")
"""A number in digits without a sign."""
_ORDINALS: Final = _spelled("{n,spellout,%spellout-ordinal}")
_NUMBERS: Final = {**_spelled("{n,spellout}"), **_ORDINALS}
DECADES: Final = {
    f"{word.removesuffix('y')}ies": number for word, number in _NUMBERS.items() if number >= 20 and word.endswith("y")
}
"""The number that a decade begins with, by its name: 90 for "nineties"."""
_SCALES: Final = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "hundredth": 10**2,
    "thousandth": 10**3,
    "millionth": 10**6,
    "mn": 10**6,
    "bn": 10**9,
    "dozens": 0,
    "hundreds": 0,
    "thousands": 0,
    "millions": 0,
    "billions": 0,
    "trillions": 0,  # some, not a number
}
_UNBOUNDED: Final = 10**15


def read_number(words: Sequence[str], at: int) -> tuple[Decimal | None, int]:
    """The number that begins at word `at`, and the place after it; None if none begins there.

    words: small letters and digits ("2.5"), without hyphens. A number in digits takes only scales after it: "170 billion".
    """
    total, group, room = Decimal(0), Decimal(-1), _UNBOUNDED  # room: what may be added now lies below it
    end = at
    while end < len(words):
        word = words[end]
        value = _NUMBERS.get(word, _UNBOUNDED)
        if word[0].isdecimal() and end == at:
            group, room = Decimal(word), 0
        elif value < room and (value or end == at):
            group = max(group, Decimal(0)) + value
            room = 10 if value >= 20 and value % 10 == 0 else 0
        elif _SCALES.get(word) and (group > 0 or end == at):
            scale = _SCALES[word]
            group = (group if group > 0 else Decimal(1)) * scale
            if scale > 100:
                total, group = total + group, Decimal(0)
            room = scale
        elif not (word == "and" and room >= 100 and end > at and _value(words, end + 1) < room):
            break
        end += 1
        if is_ordinal(word):
            break
    if end == at:
        return None, at
    return total + max(group, Decimal(0)), end


def is_ordinal(word: str) -> bool:
    """Whether a word of a number makes it a place in an order: "fifth" of "twenty-fifth"."""
    return word in _ORDINALS or (word in _SCALES and word.endswith("th"))


def _value(words: Sequence[str], at: int) -> int:
    return _NUMBERS.get(words[at], _UNBOUNDED) if at < len(words) else _UNBOUNDED


def written(value: Decimal) -> str:
    """A number in digits; a whole one without a point."""
    return f"{value.normalize():f}" if value == value.to_integral_value() else f"{value:f}"


def plain(number: str) -> str:
    """Without zeros at the end of what stands behind the point: "0.5" for "0.50"."""
    return f"{Decimal(number).normalize():f}"
