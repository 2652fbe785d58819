"""Exact match: an answer equals a gold answer but for case, punctuation, articles and spaces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from seal_env.tasks.knowledge.grading.base import Attempt


def normalise(text: str) -> str:
    """Small letters, no punctuation, no articles, one space between words."""
    letters = "".join(" " if unicodedata.category(letter).startswith("P") else letter for letter in text.lower())
    return " ".join(word for word in letters.split() if word not in ("a", "an", "the"))


def exact_match(prediction: str, golds: Sequence[str]) -> bool:
    """True if the prediction equals one of the gold answers; a prediction without words or numbers equals none."""
    said = normalise(prediction)
    return bool(re.search(r"\w", said)) and said in map(normalise, golds)


class ExactMatchGrader:
    """The strictest grader: see `exact_match`."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        return exact_match(prediction, [gold])

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader."""
        return [self.grade(*attempt) for attempt in attempts]
