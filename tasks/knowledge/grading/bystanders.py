"""Answers that tell of somebody or some place by the gold answer: "Jon Aske, helped by Mira Vald", "ten miles from Kiel"."""

from __future__ import annotations

from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.deeds import PARTICLES, is_verb_of
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT, words
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.spans import alike

_DOERS: Final = frozenset(["who", "whom", "whose"])
_TELLS: Final = frozenset(
    ["says", "states", "said", "stated", "tells", "mentions", "shows", "believe", "think", "know", "is"]
)
_MUTUAL: Final = words(
    """
    marry marries married wed weds wedded meet meets met fight fights fought divorce divorced face faced play plays played
    befriended join joined resemble resembles equal equals accompanied
    """
)
"""Verbs of which one party may stand for the other."""


def is_told_by(reading: Reading) -> bool:
    """Whether the gold answer only helps to say which other person or place is meant."""
    asked = {token.key for at, token in enumerate(reading.asked) if at == 0 or not token.capital}  # not "Doctor Who"
    if asked & _DOERS and reading.said[reading.span[0]].kind == "word":
        return (
            _is_done_to(reading)
            or _is_in_a_clause(reading)
            or _is_a_helper(reading)
            or _has_it_done(reading)
            or _is_above(reading)
        )
    return "where" in asked and (_is_a_landmark(reading) or _is_left(reading))


def _is_in_a_clause(reading: Reading) -> bool:
    """The object of a clause about another: "people who hated Mira Vald"."""
    said, low = reading.said, reading.span[0]
    for at in range(1, low - 1):
        between = range(at + 1, low)
        if said[at].key == "whose" and any(place in reading.extra for place in between):
            return True
        inside = any(place in reading.extra for place in between) and not any(
            said[place].kind == "mark" or said[place].key in english.PASSIVE for place in between
        )
        if said[at].key in _DOERS and inside:
            return True
        if said[at].key == "that" and inside and at - 1 in reading.extra and said[at - 1].key not in _TELLS:
            return True
    return False


def _is_a_helper(reading: Reading) -> bool:
    """Somebody else to whom the gold answer does something: "Jon Aske, helped by Mira Vald", "men sent by Mira Vald"."""
    said, by = reading.said, reading.before
    if by < 2 or said[by].key != "by":
        return False
    deed = by - 1 - (said[by - 1].key in PARTICLES)
    return (
        deed in reading.extra
        and said[deed].key not in english.PREPOSITIONS
        and (deed - 1 in reading.extra or _is_name(reading, deed - 2))
        and not any(is_verb_of(token, reading.asked[1:2]) for token in said[:by])
    )


def _has_it_done(reading: Reading) -> bool:
    """Another name stands before the question's verb: "Mira Vald ordered Jon Aske to build it"."""
    said, asked, high = reading.said, reading.asked, reading.span[-1]
    if len(asked) < 2 or asked[1].key in LIGHT:
        return False
    for at in range(high + 2, reading.end):
        if not alike(said[at], asked[1]):
            continue
        end = at
        while said[end - 1].key in {"to", "who", ","}:
            end -= 1
        start = end
        while _is_name(reading, start - 1):
            start -= 1
        if (
            high < start - 1
            and start < end
            and start - 1 in reading.extra
            and said[start - 1].key not in english.PREPOSITIONS
        ):
            return True
    return False


def _is_name(reading: Reading, at: int) -> bool:
    return at in reading.extra and reading.said[at].kind == "word" and reading.said[at].capital


def _is_done_to(reading: Reading) -> bool:
    """What the question says it was done to does it to the gold answer: "Ann taught Bob" to "Who taught Ann?"."""
    said, asked, low = reading.said, reading.asked, reading.span[0]
    if len(asked) < 3 or asked[0].key != "who" or asked[1].key in LIGHT or asked[1].key in _MUTUAL:
        return False
    objects = {token.key for token in asked[2:] if token.kind == "word" and token.key not in LIGHT}
    for at in range(1, low):
        doer, after = said[at - 1], said[at + 1].key
        done = alike(said[at], asked[1]) and doer.key in objects and not doer.possessive and after != "by"
        if done and not any(token.key in LIGHT - ARTICLES for token in said[: at - 1]):
            return True
    return False


def _is_above(reading: Reading) -> bool:
    """People below or behind the named one: "workers under Mira Vald"."""
    at = reading.before
    return at > 0 and reading.said[at].key in english.RANKS and reading.said[at].key not in reading.given


def _is_a_landmark(reading: Reading) -> bool:
    """A place told by how it lies to the gold answer: "on the road to Kiel", "in sight of Kiel"."""
    at = reading.before
    if at < 0 or reading.said[at].key in reading.given:
        return False
    before = [token.key for token in reading.said[max(0, at - 4) : at]]
    link = reading.said[at].key
    if link in ("around", "surrounding"):
        return any(place in reading.extra for place in range(at))
    if link == "by":
        return at - 1 in reading.extra and not before[-1].endswith("ed")
    near = [key for key in before if key not in ARTICLES]
    if link == "from":
        return any(key in english.DISTANCES or key in english.MEASURES for key in near)
    if link == "to":
        return any(key in english.WAYS for key in near[-1:])
    return link == "of" and any(key in english.SURROUNDINGS for key in near[-1:])


def _is_left(reading: Reading) -> bool:
    """Another place that is gone to from the gold answer: "from Kiel to Ostrel", "Kiel, moved to Ostrel"."""
    said, high = reading.said, reading.span[-1]
    for at in range(high + 1, reading.end - 1):
        name = at + 1 + (said[at + 1].key in ARTICLES)
        if said[at].key == "to" and said[at - 1].key not in english.WAYS and _is_name(reading, name):
            return True
    return False
