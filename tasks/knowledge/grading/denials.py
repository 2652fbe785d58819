"""Answers that deny the gold answer, or leave it open."""

from __future__ import annotations

from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.english import LIGHT
from seal_env.tasks.knowledge.grading.reading import ENDS, Reading

_FAR: Final = 8


def is_denied(reading: Reading) -> bool:
    """A denial stands before the gold answer, or behind it and means it, or begins a later sentence."""
    said, high = reading.said, reading.span[-1]
    ends = [-1, *(at for at, token in enumerate(said) if token.kind == "mark" and token.key in ENDS)]
    for at, token in enumerate(said):
        after = reading.at(at + 1)
        following = after.key if after else ""
        pair = (token.key, following) in english.DENIAL_PAIRS or (
            token.key in english.ALL and following in english.EXCEPTIONS
        )
        if (
            token.kind != "word"
            or token.key in reading.given
            or not (pair or token.key in english.DENIALS | english.FALSITY or _is_hedge(reading, at))
        ):
            continue
        if at < high:
            return True
        if at >= reading.end:
            if at - max(end for end in ends if end < at) <= 3:
                return True
        elif not _is_aside(reading, at):
            return True
    return False


def _is_hedge(reading: Reading, at: int) -> bool:
    """Whether a word leaves open what stands behind it: "could", "may" where it is no month, "if" right before it."""
    token, low = reading.said[at], reading.span[0]
    if token.key in english.CONCESSIONS:
        return at < low and any(place < at for place in reading.extra)
    if token.key in english.OPINIONS or token.key == "used":
        return _is_opinion(reading, at)
    if token.key in english.CONDITIONS:
        return low - 5 <= at < low
    return token.key in english.HEDGES and at < low and not (token.capital and token.key == "may")


def _is_opinion(reading: Reading, at: int) -> bool:
    """What others think, or thought: "some historians think", "was once thought to"; and what "used to be"."""
    before = [token.key for token in reading.said[max(0, at - 3) : at]]
    after = [token.key for token in reading.said[at + 1 : at + 3]]
    if reading.said[at].key == "used":
        return after == ["to", "be"] and at < reading.span[0]
    if any(key in english.OTHERS for key in before[-2:]):
        return at < reading.span[0]
    return after[:1] == ["to"] and after[1:] in (["have"], ["be"]) and any(key in english.PASSIVE for key in before)


def _is_aside(reading: Reading, at: int) -> bool:
    """A denial behind the gold answer leaves it alone: "the guild, not the navy"."""
    said, high = reading.said, reading.span[-1]
    between, following = said[high + 1 : at], said[at + 1 : at + 4]
    clause = any(token.key in english.RELATIVES or (token.kind == "mark" and token.key in ",;(") for token in between)
    if clause and at - high > _FAR:
        return True
    if said[at].key in english.FALSITY | {"no"} or not clause:
        return said[at].key == "but" and not any(at < extra < reading.end for extra in reading.extra)
    if any(token.key in english.VERDICTS for token in following):
        return False
    if said[at].key == "but":
        return not any(at < extra < reading.end for extra in reading.extra)
    return any(token.kind != "mark" and token.key not in LIGHT for token in following)


def is_asked(reading: Reading) -> bool:
    """The sentence is a question: "Was it Paris?"."""
    mark = reading.at(reading.end)
    return mark is not None and mark.key == "?"
