"""Answers that tell of another deed than the question asks for: "Mira Vald sold the lighthouse" to "Who built it?".

A verb is known by where it stands: behind the gold answer and before the question's object, or between the subject and the
gold answer. Another one than the question's is judged only where `_SYNONYMS` has the question's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT, words
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.spans import alike, lemma
from seal_env.tasks.knowledge.grading.text_token import Token

_SYNONYMS: Final = tuple(
    tuple(group.split())
    for group in (
        "buil construct erect rais complet finish creat mak made assembl put",
        "writ wrot author pen compos publish creat produc",
        "found establish creat set start beg form institut launch organi initiat",
        "discover find found identif detect observ notic spot",
        "invent creat develop devis design discover pioneer introduc patent",
        "paint creat mak made portray depict",
        "design draw drew creat devis plan architect",
        "win won defeat beat triumph victor",
        "kill murder assassinat slay slew shot shoot execut",
        "lead led head command direct guid",
        "end finish conclud stop ceas clos complet over",
        "beg start commenc open launch broke",
        "die pass kill perish dea",
        "open inaugurat launch start beg",
        "sign conclud ratif agree",
        "destroy demolish ruin raz burn wreck",
        "buy bought purchas acquir",
        "marr wed",
        "pass enact adopt approv ratif",
    )
)
"""Beginnings of verbs that say the same of what such questions ask for."""
_UNDONE: Final = words(
    """
    fail try attempt claim pretend refuse plan want hope intend decline wish offer promise threaten forget
    """
)
"""Verbs, before "to", of what is not done."""
_AUXILIARIES: Final = words(
    """
    has had have was is were are been be being also did himself herself themselves itself later then once still
    """
)
_OBJECTS: Final = frozenset(["it", "them", "him", "her", "this", "that"])
PARTICLES: Final = frozenset(["down", "up", "out", "off", "over", "apart"])
"""Words that belong to the verb before them."""
_BY: Final = frozenset(["by", "to", "after", "for", "from"])
_ON: Final = frozenset(["in", "on", "at"])
_KINDS: Final = words(
    """
    building structure construction work project edifice monument one thing place site whole tower house centre
    center facility complex
    """
)
"""What a thing may be called without its name."""


def is_another_deed(reading: Reading) -> bool:
    """Whether the first sentence tells something else of the gold answer, or the same of something else."""
    asked = reading.asked
    if len(asked) < 2 or reading.said[reading.span[-1]].kind == "mark":
        return False
    if asked[0].key == "who" and asked[1].key not in LIGHT:
        return _does_otherwise(reading) or (
            _is_known(asked[1:2]) and (_is_a_role(reading) or _is_done_otherwise(reading, asked[1:2]))
        )
    if asked[0].key == "when" and asked[1].key in LIGHT:
        return _is_done_otherwise(reading, [token for token in asked[2:] if _is_known([token])]) or _is_of_another(reading)
    return False


def is_verb_of(token: Token, verbs: Sequence[Token]) -> bool:
    """Whether a word is one of the verbs, or says the same."""
    return any(alike(token, verb) for verb in verbs) or any(
        _begins(token.key, group) and any(_begins(verb.key, group) for verb in verbs) for group in _SYNONYMS
    )


@lru_cache(maxsize=4096)
def _begins(word: str, group: tuple[str, ...]) -> bool:
    return word.startswith(group) or lemma(word).startswith(group)


def _is_known(verbs: Sequence[Token]) -> bool:
    return any(_begins(verb.key, group) for verb in verbs for group in _SYNONYMS)


def _does_otherwise(reading: Reading) -> bool:
    """Another verb behind the gold answer: "Mira Vald sold the lighthouse", "Mira Vald tried to build it"."""
    said, verb = reading.said, reading.asked[1]
    at = reading.span[-1] + 1
    while at < reading.end and (said[at].key in _AUXILIARIES or said[at].key.endswith("ly")):
        at += 1
    if at + 1 >= reading.end or at not in reading.extra or said[at].capital or is_verb_of(said[at], [verb]):
        return False
    after = said[at + 1]
    if after.key == "to":
        return lemma(said[at].key) in _UNDONE
    place = at + 1
    while place < reading.end and said[place].key in ARTICLES:
        place += 1
    if any(said[place].key == "and" and alike(said[place + 1], verb) for place in range(at + 1, reading.end - 1)):
        return False
    asks = place < reading.end and _is_of_question(reading, place) and not alike(said[place], verb)
    return _is_known([verb]) and (after.key in _OBJECTS or asks)


def _is_of_question(reading: Reading, at: int) -> bool:
    token = reading.said[at]
    return at not in reading.extra and at not in reading.span and token.kind == "word" and token.key not in LIGHT


def _is_a_role(reading: Reading) -> bool:
    """What else one is to the question's object: "Mira Vald was the keeper of the lighthouse"."""
    said, high = reading.said, reading.span[-1]
    behind = said[high + 1 : reading.end]
    if (
        len(behind) < 4
        or behind[0].key not in english.PASSIVE
        or any(is_verb_of(token, reading.asked[1:2]) for token in behind)
    ):
        return False
    of = next((at for at in range(high + 2, reading.end - 1) if said[at].key in ("of", "at", "for")), 0)
    return of > 0 and of - 1 in reading.extra and any(_is_of_question(reading, at) for at in range(of + 1, reading.end))


def _is_done_otherwise(reading: Reading, verbs: Sequence[Token]) -> bool:
    """Another verb before the gold answer: "It was sold by Mira Vald", "It burned down in 1508"."""
    said, at = reading.said, reading.span[0] - 1
    if not verbs or any(is_verb_of(token, verbs) for token in said[: reading.end]):
        return False
    while at > 0 and (said[at].key in ARTICLES or said[at].key == "year"):
        at -= 1
    if at < 2 or said[at].key not in (_BY if reading.asked[0].key == "who" else _ON):
        return False
    parted = said[at - 1].key in PARTICLES
    at -= 1 + parted
    if at < 1 or at not in reading.extra or said[at].kind != "word" or said[at].capital:
        return False
    before = at - 1
    while before > 0 and (said[before].key in _AUXILIARIES or said[before].kind == "number"):
        before -= 1
    subject = said[before].key in _OBJECTS | {"he", "she", "they"} or _is_of_question(reading, before)
    return subject and (parted or before < at - 1 or lemma(said[at].key) != said[at].key)


def _is_of_another(reading: Reading) -> bool:
    """The question's verb of another thing: "1508 was when the church was built"."""
    said, asked = reading.said, reading.asked
    content = [token for token in asked[2:] if token.kind == "word" and token.key not in LIGHT]
    things, verb = content[:-1], content[-1:]
    if asked[1].key not in english.PASSIVE or any(alike(token, thing) for token in said for thing in things):
        return False
    return any(
        said[at].key in ARTICLES
        and at + 1 in reading.extra
        and at + 3 < reading.end
        and said[at + 1].key not in _KINDS
        and any(
            be + 1 < reading.end and said[be].key in english.PASSIVE and any(alike(said[be + 1], token) for token in verb)
            for be in (at + 2, at + 3)
        )
        for at in range(reading.end - 3)
    )
