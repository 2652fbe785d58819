"""Draw a passage about something that does not exist, its facts, and the questions about it.

A passage is a function of (split, seed, index) alone. No two passages of the same split and seed share a name. No name and
no pair of relation and value occurs in both splits, whatever the seeds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from seal_env.errors import SettingError
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.tasks.knowledge.synthetic.fact import Fact, Subject, capital
from seal_env.tasks.knowledge.synthetic.names import Split, name, names
from seal_env.tasks.knowledge.synthetic.vocabulary import CLOSINGS, KINDS, Relation, values_of

Rng = np.random.Generator
ItemT = TypeVar("ItemT")

NAMES = 5
"""Names that belong to one passage: its subject's, and up to four values."""
MIN_NAMED = 2
"""Minimum number of facts whose value is a name, so that each fact has an indirect question by way of another."""
FACTS, WORDS = (4, 8), (40, 90)
"""Minimum and maximum number of facts and of words in a passage."""
JOINED, CLOSED, PRONOUN, BY_NAME = 0.35, 0.5, 0.6, 0.5
"""Probabilities: two facts in a sentence; a closing sentence; a pronoun where it is clear; the name, not the noun."""


@dataclass(frozen=True)
class SyntheticPassage:
    """A passage with its subject and its facts, in the order in which the text states them."""

    passage: Passage
    subject: Subject
    facts: tuple[Fact, ...]

    def statements(self) -> tuple[str, ...]:
        """Every fact in every wording, as sentences that can stand alone."""
        return tuple(sentence for fact in self.facts for sentence in fact.statements())

    def questions(self, held_out: bool = False) -> tuple[Question, ...]:
        """Every direct, reversed and indirect question, in wordings for training or in the held-out ones."""
        found: list[Question] = []
        for fact in self.facts:
            found += (*fact.direct(held_out), *fact.reversed(held_out))
            for other in _named(self.facts, but=fact):
                found += fact.indirect(other, held_out)
        return tuple(found)

    def some_questions(self, rng: Rng, held_out: bool = False) -> tuple[Question, ...]:
        """Two questions for each fact: a direct one, and a reversed or an indirect one."""
        chosen: list[Question] = []
        for fact in self.facts:
            chosen.append(_pick(rng, fact.direct(held_out)))
            if fact.relation.named and rng.random() < 0.5:
                chosen.append(_pick(rng, fact.reversed(held_out)))
            else:
                other = _pick(rng, _named(self.facts, but=fact))
                chosen.append(_pick(rng, fact.indirect(other, held_out)))
        return tuple(chosen)


@cache
def capacity(split: Split) -> int:
    """Number of passages in a split, for each seed."""
    return len(names(split)) // NAMES


def draw_passage(split: Split, seed: int, index: int) -> SyntheticPassage:
    """Draw passage `index` of a split and seed.

    Raises:
        SettingError: The split does not exist, or has no such index.
    """
    if split not in ("train", "eval"):
        raise SettingError("split", split, "'train' or 'eval'")
    if not 0 <= index < capacity(split):
        raise SettingError("index", index, f"0 to {capacity(split) - 1}")
    rng = np.random.default_rng([seed, index, int(split == "eval")])
    own = [name(split, seed, index * NAMES + number) for number in range(NAMES)]
    kind = _pick(rng, KINDS)
    subject = Subject(own[0], kind, _pick(rng, kind.pronouns))
    while True:
        facts = _draw_facts(rng, subject, own[1:], split)
        text = _write(rng, subject, facts)
        if WORDS[0] <= len(text.split()) <= WORDS[1]:
            return SyntheticPassage(Passage(subject.name, text), subject, tuple(facts))


def _pick(rng: Rng, items: Sequence[ItemT]) -> ItemT:
    return items[int(rng.integers(len(items)))]


def _named(facts: tuple[Fact, ...], but: Fact) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if fact.relation.named and fact is not but)


def _draw_facts(rng: Rng, subject: Subject, own: list[str], split: Split) -> tuple[Fact, ...]:
    """Facts of different relations, in random order; no two have the same value or number."""
    named = [relation for relation in subject.kind.relations if relation.named]
    others = [relation for relation in subject.kind.relations if not relation.named]
    most = min(FACTS[1], min(len(named), len(own)) + len(others))
    count = int(rng.integers(FACTS[0], most + 1))
    least_named = max(MIN_NAMED, count - len(others))
    most_named = min(len(named), len(own), count - 1)
    named_count = int(rng.integers(least_named, most_named + 1))
    chosen = [*_sample(rng, named, named_count), *_sample(rng, others, count - named_count)]
    values: list[str] = own[:named_count]
    for relation in chosen[named_count:]:
        values.append(_draw_value(rng, relation, split, values))
    facts = [Fact(subject, relation, value) for relation, value in zip(chosen, values, strict=True)]
    return tuple(_sample(rng, facts, count))


def _sample(rng: Rng, items: Sequence[ItemT], count: int) -> list[ItemT]:
    return [items[index] for index in rng.permutation(len(items))[:count]]


def _draw_value(rng: Rng, relation: Relation, split: Split, taken: list[str]) -> str:
    """A value that shares neither its number nor all of its words with those taken."""
    while True:
        value = _pick(rng, values_of(relation, split))
        number = re.match(r"[0-9]+", value)
        if value not in taken and (number is None or number[0] not in {other.split()[0] for other in taken}):
            return value


class _Sentence(NamedTuple):
    """The template of a fact's sentence."""

    fact: Fact
    template: str

    @property
    def leads(self) -> bool:
        """True if the sentence begins with the subject."""
        return self.template.startswith("{S} ")

    @property
    def follows(self) -> bool:
        """True if it can also be the second half of a sentence about the same subject."""
        return self.leads and "{its}" not in self.template


def _write(rng: Rng, subject: Subject, facts: tuple[Fact, ...]) -> str:
    """The passage's text: an opening, the facts, one or two in a sentence, and perhaps a closing sentence."""
    opening = _pick(rng, subject.kind.opens).format(S=capital(subject.called), s=subject.called)
    written = [opening]
    clear = opening.startswith(capital(subject.called))  # "it" can only be the subject
    remaining = [_Sentence(fact, _pick(rng, fact.relation.says)) for fact in facts]
    while remaining:
        sentence = remaining.pop(0)
        start = _start(rng, subject, clear)
        text = capital(sentence.fact.say(sentence.template, start, _within(rng, subject)))
        clear = sentence.leads and not sentence.fact.relation.named
        if sentence.leads and remaining and remaining[0].follows and rng.random() < JOINED:
            second = remaining.pop(0)
            text = f"{text[:-1]} and {second.fact.say(second.template, '', '').strip()}"
            clear = clear and not second.fact.relation.named
        written.append(text)
    if rng.random() < CLOSED:
        written.append(_pick(rng, CLOSINGS).format(s=_within(rng, subject)))
    return " ".join(written)


def _start(rng: Rng, subject: Subject, clear: bool) -> str:
    """The subject at the beginning of a sentence; a pronoun only where it is clear whom it means."""
    return capital(subject.pronoun if clear and rng.random() < PRONOUN else _within(rng, subject))


def _within(rng: Rng, subject: Subject) -> str:
    return subject.called if rng.random() < BY_NAME else f"the {subject.kind.noun}"
