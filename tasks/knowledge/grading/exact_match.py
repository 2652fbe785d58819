"""Exact match: an answer equals a gold answer but for case, punctuation, articles and spaces (SQuAD, arXiv 1606.05250).

Unlike SQuAD's script, it keeps punctuation that means something: signs of numbers and units ("-5", "50%"), what joins digits
("3-2", "1.10", "1:10") and what belongs to a name ("C#", "A-").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.base import Attempt

LONGEST: Final = 1000
"""Characters that a prediction may have more than its gold answer; a longer one is wrong without a look."""

_ARTICLES: Final = frozenset(("a", "an", "the"))
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-")
_THOUSANDS: Final = regex.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PUNCTUATION: Final = regex.compile(
    r"""
      (?<=\d)[.,:/-](?=\d) (*SKIP)(*FAIL)                  # between digits
    | (?<![\p{L}\p{N}])[-.](?=\d) (*SKIP)(*FAIL)          # a sign or a point before a number
    | (?<=(?<![\p{L}\p{N}])\p{L})-(?![\p{L}\p{N}]) (*SKIP)(*FAIL)  # behind a single letter
    | (?<=\d)! (*SKIP)(*FAIL)
    | [%\#&@*/\\§‰] (*SKIP)(*FAIL)
    | \p{P}
    """,
    regex.VERBOSE,
)


def normalise(text: str) -> str:
    """Small letters, no punctuation, no articles, one space between words."""
    letters = "".join(" " if unicodedata.category(letter).startswith("P") else letter for letter in text.lower())
    return " ".join(word for word in letters.split() if word not in _ARTICLES)


def exact_form(text: str) -> str:
    """What is compared: as `normalise`, with the punctuation that means something, and the letter A if it is all."""
    plain = text.lower().translate(_DASHES).replace("!=", "\u2260")
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), plain)
    words = _PUNCTUATION.sub(" ", plain).split()
    return " ".join([word for word in words if word not in _ARTICLES] or (words if words == ["a"] else []))


def exact_match(prediction: str, golds: Sequence[str]) -> bool:
    """True if the prediction equals one of the gold answers; a prediction without words or numbers equals none."""
    if len(prediction) > LONGEST + max(map(len, golds), default=0):
        return False
    said = exact_form(prediction)
    return any(map(str.isalnum, said)) and said in map(exact_form, golds)


class ExactMatchGrader:
    """The strictest grader: see `exact_match`."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        return exact_match(prediction, [gold])

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader."""
        return [self.grade(*attempt) for attempt in attempts]
