"""Texts about a synthetic passage, as in a self-edit: what seal-tiny-text learns to write, and to learn from.

Drawn at random from the facts, in wordings for training, without looking at what helps: few lines or many, some in another
form than the style asks for, and a share of `wrong` with a fact that is not the passage's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from seal_env.tasks.knowledge.prompt import question_and_answer
from seal_env.tasks.knowledge.synthetic.draw import SyntheticPassage
from seal_env.tasks.knowledge.synthetic.fact import Fact, capital
from seal_env.tasks.knowledge.synthetic.names import name, names
from seal_env.tasks.knowledge.synthetic.vocabulary import values_of

Rng = np.random.Generator
ItemT = TypeVar("ItemT")

LINES: Mapping[str, tuple[int, int]] = {
    "implications": (1, 8),
    "implications-long": (4, 12),
    "implications-very-long": (6, 14),
    "rewrite": (1, 3),
    "self-qa": (1, 9),
    "relations": (1, 8),
}
"""Fewest and most texts of a reply, by style."""
OTHER_FORM, DESCRIBED = 0.08, 0.15
"""How often a text has another style's form, and how often an implication describes the subject by a fact."""


@dataclass(frozen=True)
class Drawn:
    """A text, and whether it is a question with its answer, on two lines."""

    text: str
    asked: bool = False


def pick(rng: Rng, items: Sequence[ItemT]) -> ItemT:
    """One of the items, each as likely."""
    return items[int(rng.integers(len(items)))]


def draw_texts(rng: Rng, drawn: SyntheticPassage, style: str, count: int, wrong: float = 0.0) -> list[Drawn]:
    """`count` texts about a passage in a style of `seal_env.agents.lm.text_styles`.

    Facts are taken in turn, in random order, so that few are stated twice before all have been stated once. wrong: share of
    texts with a wrong fact.
    """
    texts: list[Drawn] = []
    waiting: list[Fact] = []
    while len(texts) < count:
        waiting = waiting or [drawn.facts[index] for index in rng.permutation(len(drawn.facts))]
        fact = waiting.pop()
        facts = drawn.facts
        if rng.random() < wrong:
            false = replace(fact, value=_another_value(rng, fact, facts))
            facts, fact = tuple(false if each is fact else each for each in facts), false
        form = pick(rng, tuple(LINES)) if rng.random() < OTHER_FORM else style
        texts.append(_FORMS[form](rng, fact, facts))
    return texts


def reply(rng: Rng, drawn: SyntheticPassage, style: str) -> str:
    """What a policy may write in answer to `style_messages`: a text a line, as `seal_env.self_edits.parse_text` reads them.

    In a fifth of the replies half of the texts have a wrong fact.
    """
    low, high = LINES[style]
    wrong = 0.5 if rng.random() < 0.2 else 0.0
    return "\n".join(each.text for each in draw_texts(rng, drawn, style, int(rng.integers(low, high + 1)), wrong))


def _another_value(rng: Rng, fact: Fact, facts: tuple[Fact, ...]) -> str:
    """A value of the kind that the fact's has: another name of the passage or of the train split, or another value."""
    others = [each.value for each in facts if each.relation.named and each is not fact]
    if not fact.relation.named:
        return pick(rng, values_of(fact.relation, "train"))
    if others and rng.random() < 0.5:
        return pick(rng, others)
    return name("train", 0, int(rng.integers(len(names("train")))))


def _implication(rng: Rng, fact: Fact, facts: tuple[Fact, ...]) -> Drawn:
    """A statement of the fact; or what the thing is, described by the fact."""
    if fact.relation.known and rng.random() < DESCRIBED:
        description = fact.subject.fill(pick(rng, fact.relation.known), v=fact.value)
        return Drawn(f"{capital(fact.subject.named)} is {description}.")
    return Drawn(pick(rng, fact.statements()))


def _rewrite(rng: Rng, fact: Fact, facts: tuple[Fact, ...]) -> Drawn:
    """All facts, or all but a few, in random order and wordings."""
    count = len(facts) - int(rng.integers(0, 3))
    chosen = [facts[index] for index in rng.permutation(len(facts))[:count]]
    return Drawn(" ".join(_sentence(rng, each, first=number == 0) for number, each in enumerate(chosen)))


def _sentence(rng: Rng, fact: Fact, first: bool) -> str:
    subject = fact.subject
    called = subject.named if first else pick(rng, (subject.called, f"the {subject.kind.noun}"))
    return capital(fact.say(pick(rng, fact.relation.says), capital(called), called))


def _question(rng: Rng, fact: Fact, facts: tuple[Fact, ...]) -> Drawn:
    """A direct question for the fact more often than a reversed or an indirect one."""
    asked = list(fact.direct())
    if rng.random() < 0.4:
        named = [each for each in facts if each.relation.named and each.relation is not fact.relation]
        asked = list(fact.reversed()) if fact.relation.named and rng.random() < 0.5 else []
        asked = asked or [question for each in named for question in fact.indirect(each)] or list(fact.direct())
    question = pick(rng, asked)
    return Drawn(question_and_answer(question.question, question.answer), asked=True)


def _relation(rng: Rng, fact: Fact, facts: tuple[Fact, ...]) -> Drawn:
    """What is related, then how: the subject and a value, or two values."""
    others = [each for each in facts if each.relation is not fact.relation]
    if not others or rng.random() < 0.6:
        return Drawn(f"{fact.subject.name}, {fact.value}: {pick(rng, fact.statements())}")
    other = pick(rng, others)
    both = f"{pick(rng, fact.statements())} {_sentence(rng, other, first=False)}"
    return Drawn(f"{fact.subject.name}, {fact.value}, {other.value}: {both}")


_FORMS: Mapping[str, Callable[[Rng, Fact, tuple[Fact, ...]], Drawn]] = {
    "implications": _implication,
    "implications-long": _implication,
    "implications-very-long": _implication,
    "rewrite": _rewrite,
    "self-qa": _question,
    "relations": _relation,
}
