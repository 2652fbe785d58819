"""Normal form of answers: the first answer of a text, and its words, however they are written.

Left out on purpose: synonyms, spelling mistakes and everything else that takes knowledge of the world. Two texts with the
same words say the same here, whatever their order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from seal_env.tasks.knowledge.grading.number_words import read_number

QUOTE: Final = "\N{RIGHT SINGLE QUOTATION MARK}"
"""The apostrophe of printed texts."""

_EXCHANGE: Final = re.compile(
    r"\n\s*(?:(?:q|question|a|answer|passage|context|topic|title|user|human|assistant|system|explanation|cot)\s*:"
    r"|you are an?\b)|<\|",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"\s*(?:q|question|a|answer)\s*:\s*", re.IGNORECASE)
_SPACES: Final = re.compile(r"[^\S\n]+")

_LETTERS: Final = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)
_SIGNS: Final = str.maketrans({"%": " percent ", "$": " dollars ", "£": " pounds ", "€": " euros ", "&": " and "})
_NO_SIGNS: Final = str.maketrans(dict.fromkeys("%$£€&", " "))
_HALF: Final = re.compile(r"(?<!-)\b(?:one[ -])?half\b(?!-)")
_ROMAN: Final = re.compile(r"\b([A-Z]\w+) (X{0,3}(?:IX|IV|V?I{0,3})(?<=[IVX]))\b")
_ROMAN_DIGITS: Final = {"I": 1, "V": 5, "X": 10}


def first_answer(text: str, question: str) -> str:
    """The first answer in what a model wrote.

    A base model may repeat the question before it answers, or continue with questions of its own; neither is an answer.
    """
    text, asked = (_SPACES.sub(" ", each).strip() for each in (text, question))
    for _ in range(2):  # a label may stand before the repeated question, and after it
        text = _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
        if asked and text.lower().startswith(asked.lower()):
            text = text[len(asked) :].lstrip()
    return _EXCHANGE.split(text, maxsplit=1)[0].strip()


@lru_cache(maxsize=4096)  # questions come again and again
def words(text: str, signs: bool = True) -> tuple[str, ...]:
    """The words of a text in small letters without accents; numbers in digits, however they were written, "half" as 50 %.

    "The Twenty-first of May, $1,500" -> ("the", "21", "of", "may", "dollars", "1500"). signs: whether %, $, £ and € are
    words.
    """
    text = unicodedata.normalize("NFKC", text)
    text = _ROMAN.sub(lambda found: f"{found[1]} {_roman(found[2])}", text).casefold().translate(_LETTERS)
    text = _HALF.sub("50%", text)
    text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text).translate(_SIGNS if signs else _NO_SIGNS)
    text = re.sub(r"\b(?:[a-z]\.){2,}", lambda found: found[0].replace(".", ""), text)
    text = re.sub(rf"['{QUOTE}]s\b|(?<=\d)(?:st|nd|rd|th|s)\b", "", text)
    return tuple(_in_digits(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", text)))


def is_number(word: str) -> bool:
    """Whether a word of `words` is a number."""
    return word[0].isdecimal()


def _in_digits(parts: list[str]) -> Iterator[str]:
    at = 0
    while at < len(parts):
        value, end = read_number(parts, at)
        yield parts[at] if value is None else f"{value:f}"
        at = max(end, at + 1)


def _roman(numeral: str) -> int:
    digits = [_ROMAN_DIGITS[letter] for letter in numeral]
    return sum(-low if low < high else low for low, high in zip(digits, [*digits[1:], 0], strict=True))
