"""Answers to questions that offer what to choose from: what is not the answer is a rival, although the question names it."""

from __future__ import annotations

from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.english import ARTICLES, words
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.spans import is_degree

_EARLIER: Final = words("first earlier earliest older oldest sooner soonest")
"""Words of questions that "before" answers."""


def is_other_choice(reading: Reading) -> bool:
    """Whether the answer takes another of the things that the question offers, or several, or compares them otherwise."""
    if not reading.offered:
        return False
    said = range(reading.end)
    compared = any(is_degree(token.key) for token in reading.asked)
    if compared and any(at in reading.extra and is_degree(reading.said[at].key) for at in said):
        return True
    rivals = (at for at in said if reading.said[at].key in reading.offered and at not in reading.span)
    return any(not _is_set_apart(reading, at) for at in rivals)


def _is_set_apart(reading: Reading, at: int) -> bool:
    """What stands there is said not to be the answer: "Ann, not Bob", "larger than Lund", "between Ann and Bob, Ann"."""
    said, low = reading.said, reading.span[0]
    if at in reading.set_apart:
        return True
    if at < low:
        opens = said[0].key in ("of", "between")
        return opens and any(token.key == "," for token in said[at:low])
    link = at - 1
    while link > low and said[link].key in ARTICLES | english.PREPOSITIONS - {"before", "after"}:
        link -= 1
    early = said[link].key == "before" and any(token.written.lower() in _EARLIER for token in reading.asked)
    between = range(reading.span[-1] + 1, link)
    return (said[link].key == "than" or early) and not any(place in reading.extra for place in between)
