"""A clause as a question: where its words go when a question word takes the place of a part of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.asked import MOST_WORDS
from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.noun_phrases import noun_phrases, with_coordinated
from seal_env.agents.grammar.sentences import Tokens, as_sentence, written

_LEAST_LEFT: Final = 3
_JOINTS: Final = frozenset(("PREP", "SUB", "ING", "TO", "CONJ", "PART"))


def ask(wh: str, clause: Clause, rest: Tokens) -> str:
    """The question "WH did SUBJECT VERB REST?". What makes it too long is left out at the end."""
    auxiliaries, adverbs, verb = [token.text for token in clause.auxiliaries], written(clause.adverbs), clause.verb
    if auxiliaries:
        first, *others = auxiliaries
        negated = first.lower() == "cannot"
        parts = ["can" if negated else first, written(clause.subject), "not" if negated else "", adverbs, *others, verb.text]
    elif clause.is_copula:
        parts = [verb.text, written(clause.subject), adverbs]
    else:
        parts = [_do(clause), written(clause.subject), adverbs, verb.base or verb.text]
    asked = _joined(wh, *parts, written(rest))
    shorter = _shorter(rest) if len(asked.split()) > MOST_WORDS else rest
    return as_sentence(asked, "?") if shorter == rest else ask(wh, clause, shorter)


def ask_subject(wh: str, clause: Clause, rest: Tokens, plural: bool = False) -> str:
    """The question "WH VERB REST?". plural: of "how many", after which the verb stays as it is."""
    helping = [token.text if plural or token.lower != "have" else "has" for token in clause.auxiliaries]
    verb = clause.verb.text if plural else _agreeing(clause)
    return as_sentence(_joined(wh, written(clause.adverbs), *helping, verb, written(rest)), "?")


def ask_in_order(clause: Clause, before: Tokens, wh: str, after: Tokens) -> str:
    """The question "SUBJECT VERB BEFORE WH AFTER?"."""
    return as_sentence(f"{replace(clause, rest=before, reason=(), opening=()).text} {wh} {written(after)}", "?")


def core(clause: Clause) -> Tokens:
    """What follows a verb, up to a comma that is no part of a list or a date; then what the clause opened with."""
    return (*up_to_comma(clause.rest), *clause.opening)


def up_to_comma(rest: Tokens) -> Tokens:
    """What follows a verb, up to a comma that is no part of a list; all of it if it is a clause with "that"."""
    if rest and rest[0].tag == "SUB":
        return rest
    lists = [with_coordinated(rest, span) for span in noun_phrases(rest)]
    for place, token in enumerate(rest):
        if token.text == "," and not any(span.start < place < span.end for span in lists):
            return rest[:place]
    return rest


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _shorter(rest: Tokens) -> Tokens:
    """Without the last part that is attached to something."""
    cut = next((place for place in range(len(rest) - 1, 0, -1) if rest[place].tag in _JOINTS), len(rest))
    return rest[:cut] if cut > _LEAST_LEFT else rest


def _do(clause: Clause) -> str:
    verb = clause.verb
    if verb.form == "past" or verb.lower == "had":
        return "did"
    return "does" if verb.form == "s" or verb.lower == "has" else "do"


def _agreeing(clause: Clause) -> str:
    """The verb after "who" or "what", which are singular."""
    plural = not clause.auxiliaries and not clause.is_copula and clause.verb.form in ("base", "")
    return en.third_person(clause.verb.base) if plural and clause.verb.lower not in ("had", "has") else clause.verb.text
