"""The same fact in other words: active and passive, "A founded B" and "the founder of B was A", "B has a red colour".

Only what regular forms allow: a clause that fits none of the patterns has no other wording here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.clause import Clause, be_of, in_mid_sentence
from seal_env.agents.grammar.noun_phrases import is_plural, noun_phrases, with_attached, with_coordinated
from seal_env.agents.grammar.passage_reader import Subject
from seal_env.agents.grammar.sentences import Token, Tokens

AGENTS_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "found": "founder",
        "invent": "inventor",
        "build": "builder",
        "write": "writer",
        "own": "owner",
        "lead": "leader",
        "teach": "teacher",
        "keep": "keeper",
        "find": "finder",
        "discover": "discoverer",
        "direct": "director",
        "produce": "producer",
        "design": "designer",
        "rule": "ruler",
        "compose": "composer",
        "paint": "painter",
        "create": "creator",
        "edit": "editor",
        "translate": "translator",
        "conquer": "conqueror",
        "publish": "publisher",
        "author": "author",
        "sign": "signer",
        "develop": "developer",
        "organise": "organiser",
        "make": "maker",
    }
)
"""Verb -> the noun for who does it, where "the NOUN of B" is said of what it is done to."""

MEASURES: Final[Mapping[str, str]] = MappingProxyType({"cost": "price", "weigh": "weight"})
"""Verb -> the noun for what it measures: "X costs N", "the price of X is N"."""

_OF: Final = Token("of", True, "PREP")
_BY: Final = Token("by", True, "PREP")


def rewordings(clause: Clause, subject: Subject) -> list[Clause]:
    """Other clauses that say the same, without the clause itself. subject: what the passage is about."""
    rules = [_passive, _active, _doing, _turned, _attribute, _having, _measure]
    if not clause.subject[-1].title or subject.is_person or not subject.kind:
        rules.append(_agent)
    found = [replace(other, opening=clause.opening) for rule in rules for other in rule(clause)]
    found = [other for other in found if other.text != clause.text]
    return list({other.text: other for other in found}.values())


def _verb(base: str, subject: Tokens, past: bool) -> Token:
    if past:
        return Token(en.VERBS[base][0], True, "VERB", base, "past")
    form = "base" if is_plural(subject) else "s"
    return Token(base if form == "base" else en.third_person(base), True, "VERB", base, form)


def _passive(clause: Clause) -> Iterator[Clause]:
    """From "A founded B in C" to "B was founded by A in C"."""
    verb, phrases = clause.verb, noun_phrases(clause.rest)
    simple = not clause.auxiliaries and verb.form in ("past", "s", "base") and verb.base in en.VERBS
    if not simple or verb.base in en.NO_PASSIVE or not phrases or phrases[0].start or clause.subject[0].tag == "PRON":
        return
    whole = with_coordinated(clause.rest, with_attached(clause.rest, phrases[0]))
    left = clause.rest[whole.end :]
    if not _is_circumstance(left) or clause.subject[-1].lower == "people" or clause.subject[0].tag in ("SUB", "ING"):
        return
    patient = whole.of(clause.rest)
    participle = replace(verb, text=en.VERBS[verb.base][1], form="part")
    be = (
        (*clause.adverbs, be_of(patient, clause.is_past))
        if not clause.adverbs
        else (be_of(patient, clause.is_past), *clause.adverbs)
    )
    yield Clause(in_mid_sentence(patient), (), be, participle, (_BY, *in_mid_sentence(clause.subject), *left))


def _is_circumstance(tokens: Tokens) -> bool:
    """Nothing, or when and where something was, which can stand at the end of any clause."""
    if not tokens:
        return True
    phrases = noun_phrases(tokens)
    return (
        tokens[0].lower in ("in", "on", "at", "during", "after", "before")
        and len(phrases) == 1
        and phrases[0] == (1, len(tokens))
    )


def _active(clause: Clause) -> Iterator[Clause]:
    """From "B was founded by A in C" to "A founded B in C"."""
    helping = [token for token in clause.auxiliaries if token.tag == "AUX"]
    if not clause.is_passive or len(helping) != 1 or clause.verb.base not in en.VERBS:
        return
    for place, token in enumerate(clause.rest):
        agents = [span for span in noun_phrases(clause.rest) if span.start == place + 1]
        if token.lower != "by" or not agents:
            continue
        agent = with_coordinated(clause.rest, with_attached(clause.rest, agents[0]))
        doer = agent.of(clause.rest)
        if doer[0].tag == "NUM" or doer[-1].tag == "NUM":
            return
        adverbs = tuple(each for each in clause.auxiliaries if each.tag != "AUX")
        left = (*clause.rest[:place], *clause.rest[agent.end :])
        if not _is_circumstance(left):
            return
        verb = _verb(clause.verb.base, doer, clause.is_past)
        yield Clause(in_mid_sentence(doer), adverbs, (), verb, (*clause.subject, *left))
        return


def _agent(clause: Clause) -> Iterator[Clause]:
    """From "A founded B" to "the founder of B was A"."""
    phrases = noun_phrases(clause.rest)
    noun = AGENTS_OF.get(clause.verb.base, "")
    plain = not clause.auxiliaries and clause.verb.form in ("past", "s") and clause.subject[-1].tag == "NAME"
    if not noun or not plain or not phrases or phrases[0].start:
        return
    whole = with_attached(clause.rest, phrases[0])
    if whole.end != len(clause.rest) or clause.adverbs:
        return
    be = be_of((Token(noun, True, "NOUN"),), clause.is_past)
    subject = (Token("the", True, "DET"), Token(noun, True, "NOUN"), _OF, *in_mid_sentence(clause.rest))
    yield Clause(subject, (), (), be, in_mid_sentence(clause.subject))


@lru_cache
def _verb_of(noun: str) -> str:
    """The verb of a noun for who does it; empty if there is none."""
    return next((verb for verb, agent in AGENTS_OF.items() if agent == noun), "")


def _sides(clause: Clause) -> tuple[Tokens, Tokens] | None:
    """("the X of Y", "Z") of "the X of Y is Z" and of "Z is the X of Y"; None for other clauses."""
    if not clause.is_copula or clause.auxiliaries or clause.adverbs:
        return None
    for role, value in ((clause.subject, clause.rest), (clause.rest, clause.subject)):
        heads = noun_phrases(role)
        described = (
            heads and heads[0].start == 0 and role[0].lower == "the" and with_attached(role, heads[0]).end == len(role)
        )
        named = value and noun_phrases(value) and noun_phrases(value)[0].start == 0 and value[0].tag != "PRON"
        if described and named and heads[0].end < len(role) and role[heads[0].end].lower == "of" and heads[0].end == 2:
            return role, value
    return None


def _doing(clause: Clause) -> Iterator[Clause]:
    """From "the founder of B was A" to "A founded B"."""
    sides = _sides(clause)
    if sides is None or not (base := _verb_of(sides[0][1].lower)):
        return
    role, value = sides
    if value[-1].tag == "NAME" and len(value) <= 4:
        yield Clause(in_mid_sentence(value), (), (), _verb(base, value, clause.is_past), role[3:])


def _turned(clause: Clause) -> Iterator[Clause]:
    """From "the X of Y is Z" to "Z is the X of Y", and back."""
    if not clause.is_copula or clause.auxiliaries or clause.adverbs or not clause.rest:
        return
    phrases = noun_phrases(clause.rest)
    if not phrases or clause.subject[0].tag == "PRON":
        return
    whole = with_attached(clause.rest, phrases[0])
    if whole != (0, len(clause.rest)):
        return
    definite = clause.rest[0].lower == "the" or clause.rest[0].tag == "NAME"
    if definite and clause.subject[0].lower not in ("a", "an"):
        be = be_of(whole.of(clause.rest), clause.is_past)
        yield Clause(in_mid_sentence(clause.rest), (), (), be, in_mid_sentence(clause.subject))


def _attribute(clause: Clause) -> Iterator[Clause]:
    """From "B has a red colour" and "B is red in colour" to "the colour of B is red"."""
    rest, owner = clause.rest, clause.subject
    if clause.auxiliaries or owner[0].tag == "PRON" or not rest:
        return
    described: Tokens = ()
    if clause.verb.base == "have" and len(rest) > 2 and rest[0].lower in ("a", "an") and rest[-1].lower in en.ATTRIBUTES:
        described = rest[1:-1]
    elif clause.is_copula and len(rest) > 2 and rest[-2].lower == "in" and rest[-1].lower in en.ATTRIBUTES:
        described = rest[:-2]
    elif clause.verb.base == "have" and len(rest) > 3 and rest[0].lower in ("a", "an", "the") and rest[2].lower == "of":
        described = rest[3:] if rest[1].lower in en.ATTRIBUTES else ()
        rest = rest[:2]
    name = next(reversed(rest))
    if described and all(token.tag in ("ADJ", "NOUN", "NUM", "NAME") for token in described):
        subject = (Token("the", True, "DET"), name, _OF, *owner)
        be = be_of((name,), clause.is_past)
        yield Clause(subject, (), (), be, described)


def _having(clause: Clause) -> Iterator[Clause]:
    """From "the number of pages in B is 9" and "there are 9 pages in B" to "B has 9 pages"."""
    subject, rest = clause.subject, clause.rest
    have = Token("had" if clause.is_past else "has", True, "AUX", "have")
    if not clause.is_copula or not rest:
        return
    phrases = noun_phrases(rest)
    if subject[0].lower == "there" and phrases and phrases[0].start == 0 and rest[0].tag == "NUM":
        left = rest[phrases[0].end :]
        owner = left[1:]
        if (
            len(left) > 1
            and left[0].lower in ("in", "on", "of")
            and noun_phrases(owner)
            and noun_phrases(owner)[0].end == len(owner)
        ):
            yield Clause(in_mid_sentence(owner), (), (), have, phrases[0].of(rest))
    words = [token.lower for token in subject]
    if words[:3] == ["the", "number", "of"] and len(subject) > 5 and rest[0].tag == "NUM" and len(rest) == 1:
        cut = next((place for place, token in enumerate(subject[3:], 3) if token.lower in ("in", "on", "of")), None)
        if cut is not None and cut + 1 < len(subject):
            yield Clause(in_mid_sentence(subject[cut + 1 :]), (), (), have, (rest[0], *subject[3:cut]))


def _measure(clause: Clause) -> Iterator[Clause]:
    """From "B costs 9 coins" to "the price of B is 9 coins", and back."""
    noun = MEASURES.get(clause.verb.base, "")
    if noun and not clause.auxiliaries and clause.rest and clause.rest[0].tag == "NUM" and clause.subject[0].tag != "PRON":
        subject = (Token("the", True, "DET"), Token(noun, True, "NOUN"), _OF, *clause.subject)
        yield Clause(subject, (), (), be_of(subject[1:2], clause.is_past), clause.rest)
    sides = _sides(clause)
    base = next((verb for verb, each in MEASURES.items() if sides is not None and sides[0][1].lower == each), "")
    if sides is not None and base and sides[1][0].tag == "NUM":
        owner = sides[0][3:]
        yield Clause(in_mid_sentence(owner), (), (), _verb(base, owner, clause.is_past), sides[1])
