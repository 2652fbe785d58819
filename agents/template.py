"""A self-edit by rules of grammar: a passage's statements one by one, and questions about them with their answers.

A pure function of the passage: no language model, nothing random. `passage_texts` is all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from seal_env.agents.base import Agent
from seal_env.agents.grammar.asked import PLAIN, REWORDED, Asked
from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.descriptions import asked_for_name, described, with_full_name
from seal_env.agents.grammar.gaps import asked_for_gaps
from seal_env.agents.grammar.passage_reader import Reading, read_passage
from seal_env.agents.grammar.question_rules import questions
from seal_env.agents.grammar.sentences import as_sentence, split_sentences
from seal_env.agents.grammar.statement_rules import rewordings
from seal_env.agents.policy_chat import shown_task
from seal_env.tools.texts import MAX_TEXTS

MOST_TEXTS: Final = 90
"""Texts of one self-edit, where the prompt leaves room for more."""
SHARE_OF_STATEMENTS: Final = 0.3
_SHORTEST: Final = 3

_STEPS = re.compile(r"at most (\d+) optimizer steps \(epochs x examples / (\d+)\)")
_KEPT = re.compile(r"at most (\d+) are kept")
_EPOCHS = re.compile(r"(\d+) epochs\b")
_PARTS = re.compile(r"This is part \d+ of (\d+)")
_USUAL_EPOCHS: Final = 2


class PassageTexts(NamedTuple):
    """What the rules make of a passage, the most useful first."""

    statements: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


class TemplateAgent(Agent):
    """Writes what `passage_texts` makes of the passage that an observation shows, as much as its budget has room for."""

    reads_history = True

    def act(self, observation: str) -> str:
        """Tool calls: `implications` and `self_qa`, then `finetune`. Raises ValueError for an observation without a task."""
        title, _, text = shown_task(observation).partition("\n")
        return json.dumps(calls(passage_texts(title, text), room(observation)))


def room(observation: str) -> int:
    """Texts that the budget in a prompt has room for, beside the passage itself and without a `training` call."""
    budget = observation[observation.rfind("\nBudget:") :]
    steps, kept = _STEPS.search(budget), _KEPT.search(budget)
    epochs, parts = _EPOCHS.search(budget), _PARTS.search(budget)
    shared = int(parts[1]) if parts else 1
    most = MOST_TEXTS
    if kept:
        most = min(most, int(kept[1]) // shared - 1)
    if steps:
        each = int(epochs[1]) if epochs else _USUAL_EPOCHS
        most = min(most, int(steps[1]) * int(steps[2]) // shared // max(1, each) - 1)
    return max(0, most)


def calls(texts: PassageTexts, most: int) -> list[dict[str, Any]]:
    """The self-edit with at most `most` texts: about a third statements, the rest questions with their answers."""
    stated = min(len(texts.statements), max(int(most * SHARE_OF_STATEMENTS), most - len(texts.pairs)))
    statements, pairs = texts.statements[:stated], texts.pairs[: most - stated]
    written: list[dict[str, Any]] = [_call("implications", texts=list(part)) for part in _parts(statements)]
    asked = [{"question": question, "answer": answer} for question, answer in pairs]
    written += [_call("self_qa", pairs=list(part)) for part in _parts(asked)]
    return [*written, _call("finetune")]


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), MAX_TEXTS):
        yield items[start : start + MAX_TEXTS]


def passage_texts(title: str, text: str) -> PassageTexts:
    """Everything that the rules make of a passage."""
    reading = read_passage(title, text)
    subject, clauses = reading.subject, reading.clauses
    named = [with_full_name(clause, subject) for clause in clauses]
    others = [[with_full_name(other, subject) for other in rewordings(clause, subject)] for clause in clauses]
    stated = {" ".join(sentence.split()) for sentence in split_sentences(text)}
    first = [as_sentence(clause.text) for clause in named]
    further = [as_sentence(other.text) for mine in others for other in mine]
    statements = [each for each in dict.fromkeys((*first, *further)) if each not in stated and len(each.split()) > _SHORTEST]
    return PassageTexts(tuple(statements), tuple(_pairs(reading, named, others)))


def _pairs(reading: Reading, named: Sequence[Clause], others: Sequence[Sequence[Clause]]) -> list[tuple[str, str]]:
    """Questions with their answers: every answer once before any is asked for again, best ranks first."""
    subject, clauses = reading.subject, reading.clauses
    asked = [questions(clause, subject) for clause in named]
    found = [each for mine in asked for each in mine]
    found += [each for clause in named for each in asked_for_name(clause, subject)]
    found += described(asked, clauses, subject)
    for mine in others:
        found += [replace(each, rank=REWORDED) for other in mine for each in questions(other, subject) if each.rank == PLAIN]
    found += [
        replace(each, rank=REWORDED) for clause in clauses for each in questions(clause, subject) if each.rank == PLAIN
    ]
    found += asked_for_gaps(reading.sentences, (each.answer for each in found), subject)
    ordered = _clear(sorted(found, key=lambda each: each.rank))
    first = {each.answer.casefold(): each for each in reversed(ordered) if each.rank < REWORDED}
    ordered.sort(key=lambda each: first.get(each.answer.casefold()) is not each)
    return [(each.question, each.answer) for each in ordered]


def _clear(asked: Sequence[Asked]) -> list[Asked]:
    """Each question once, and none that has several answers."""
    answers: dict[str, set[str]] = {}
    for each in asked:
        answers.setdefault(each.question, set()).add(each.answer.lower())
    once = {each.question: each for each in reversed(asked)}
    return [each for each in asked if once[each.question] is each and len(answers[each.question]) == 1]
