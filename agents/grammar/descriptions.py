"""What a passage is about, described by one fact and asked for another: "When was the ship that Pefuba built found?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from seal_env.agents.grammar.asked import DESCRIBED, FURTHER, PLAIN, Asked
from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.passage_reader import Subject
from seal_env.agents.grammar.question_words import is_title
from seal_env.agents.grammar.sentences import Token, Tokens, as_sentence, written
from seal_env.agents.grammar.word_order import core

MOST_WORDS: Final = 10
"""Of a description."""


def with_full_name(clause: Clause, subject: Subject) -> Clause:
    """The clause with "the ship Tafogo" in place of "the Tafogo" or "Tafogo"."""
    says_kind = (
        clause.is_copula and is_title(clause.subject) and any(token.lower == subject.kind for token in clause.rest[:4])
    )
    if not subject.is_called_by_kind or says_kind:
        return clause
    return replace(
        clause,
        subject=_full(clause.subject, subject),
        rest=_full(clause.rest, subject),
        reason=_full(clause.reason, subject),
        opening=_full(clause.opening, subject),
    )


def _full(tokens: Tokens, subject: Subject) -> Tokens:
    found: list[Token] = []
    for token in tokens:
        before = next((each for each in reversed(found) if each.lower != "the"), None)
        named = before is not None and before.tag in ("NOUN", "PART") and found[-1].lower not in ("this", "that")
        if token.title and not named:
            article = found.pop() if found and found[-1].lower == "the" else Token("the", token.spaced, "DET")
            found += [article, Token(subject.kind, True, "NOUN"), replace(token, spaced=True)]
        else:
            found.append(token)
    return tuple(found)


def description(clause: Clause, subject: Subject) -> str:
    """A clause as "the ship that was built in 1269" or "the ship whose owner is Tefupa"; empty where it gives neither."""
    own, rest = clause.subject, core(clause)
    verb = " ".join(token.text for token in (*clause.adverbs, *clause.auxiliaries, clause.verb))
    found = ""
    if is_title(own) and not (clause.is_copula and rest and rest[-1].lower == subject.kind):
        found = f"the {subject.kind} {'who' if subject.is_person else 'that'} {verb} {written(rest)}"
    elif len(own) > 3 and own[0].lower == "the" and own[2].lower == "of" and is_title(own[3:]):
        found = f"the {subject.kind} whose {own[1].text} {verb} {written(rest)}"
    elif own[len(own) - 1].tag == "NAME" and not clause.is_copula and rest and _opens_with_title(rest):
        left = rest[next(place for place, token in enumerate(rest) if token.title) + 1 :]
        found = f"the {subject.kind} that {written(own)} {verb} {written(left)}"
    return found.strip() if len(found.split()) <= MOST_WORDS and not any(token.title for token in rest[3:]) else ""


def _opens_with_title(rest: Tokens) -> bool:
    return any(is_title(rest[:count]) for count in (1, 2, 3) if len(rest) >= count)


def described(asked: Sequence[Sequence[Asked]], clauses: Sequence[Clause], subject: Subject) -> list[Asked]:
    """For each clause one question about it in which another clause describes what the passage is about.

    asked: the questions about each clause.
    """
    if not subject.kind:
        return []
    known = [(place, text) for place, clause in enumerate(clauses) if (text := description(clause, subject))]
    found = []
    for place, questions in enumerate(asked):
        name = subject.full_name
        plain = [each for each in questions if name in each.question and each.answer not in name and each.rank <= FURTHER]
        others = [text for other, text in known if other > place] + [text for other, text in known if other < place]
        fitting = [text for text in others if not plain or plain[0].answer not in text]
        if plain and fitting:
            found.append(Asked(plain[0].question.replace(name, fitting[0]), plain[0].answer, DESCRIBED))
    return found


def asked_for_name(clause: Clause, subject: Subject) -> list[Asked]:
    """The name asked for where it stands within a clause: "The flag of which school shows a blue horse?"."""
    tokens = clause.tokens
    places = [place for place, token in enumerate(tokens) if token.title]
    if not subject.kind or len(places) != 1 or is_title(clause.subject):
        return []
    end = places[0] + 1
    start = next((end - count for count in (3, 2, 1) if end >= count and is_title(tokens[end - count : end])), end - 1)
    before = tokens[start - 1].lower if start else ""
    if tokens[start].tag == "NOUN" or before in ("called", "named"):
        return []
    question = f"{written(tokens[:start])} which {subject.kind} {written(tokens[end:])}"
    return [Asked(as_sentence(question, "?"), tokens[places[0]].text, PLAIN if before == "of" else FURTHER)]
