"""Questions about a clause, with their answers: each part of it that can be asked for is asked for.

A question is the clause with a question word in place of the answer: the subject ("Who founded X?"), an object or what
stands after a preposition ("In which year was X founded?"), a number ("How many pages does X have?"), what a thing is like
("What kind of membrane does X have?"). Where grammar forbids to move the question word, it stays where the answer was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.asked import DETAIL, FURTHER, PLAIN, Asked, answer_of
from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.noun_phrases import Span, head_of, noun_phrases, with_attached, with_coordinated
from seal_env.agents.grammar.passage_reader import Subject, is_person_noun
from seal_env.agents.grammar.question_words import is_time, is_title, named_kind, number_in, what_kind, who
from seal_env.agents.grammar.sentences import Token, Tokens, as_sentence, written
from seal_env.agents.grammar.slots import Slot, about_object, after_preposition, in_place, in_predicate
from seal_env.agents.grammar.word_order import ask, ask_subject, core, up_to_comma

_NOBODY: Final = en.words("people everyone everybody one somebody someone nobody there children families we you it")
_MANY: Final = en.words("all many some")
_LONGEST_SUBJECT: Final = 14
_NESTING: Final = frozenset(("SUB", "TO", "ING", "BASE", "VERB", "AUX", "PART"))


def questions(clause: Clause, subject: Subject) -> list[Asked]:
    """Questions about a clause, each once. subject: what the passage is about."""
    found = [*_about_subject(clause, subject), *_about_reason(clause), *_about_rest(clause, subject)]
    kept = {asked.question: asked for asked in reversed(found) if asked.is_fine}
    return [asked for asked in found if kept.get(asked.question) is asked]


def _about_subject(clause: Clause, subject: Subject) -> Iterator[Asked]:
    own, rest = clause.subject, core(clause)
    if not rest and (clause.is_copula or clause.is_passive):
        return
    numbered = number_in(own)
    if numbered is not None:
        yield Asked(ask_subject(numbered[0], clause, rest, plural=True), numbered[1], PLAIN)
    if not _is_somebody(own) or (clause.is_copula and not _identifies(rest, own, subject)):
        return
    human = clause.verb.base in en.HUMAN_VERBS and not clause.is_passive
    if clause.is_copula:
        phrases = noun_phrases(rest)
        human = is_person_noun(head_of(rest[: phrases[0].end] if phrases else rest).lower)
    if is_title(own):
        wh = f"which {subject.kind}" if subject.kind else who(own, human, subject)
        yield Asked(ask_subject(wh, clause, rest), own[-1].text, PLAIN)
        return
    yield Asked(ask_subject(who(own, human, subject), clause, rest), answer_of(own), PLAIN)
    named, kind = named_kind(own), what_kind(own)
    if named is not None:
        yield Asked(ask_subject(f"which {named[0]}", clause, rest), named[1], FURTHER)
    if kind is not None:
        yield Asked(ask_subject(kind[0], clause, rest), kind[1], DETAIL)


def _is_somebody(own: Tokens) -> bool:
    """Whether a subject is one to ask for: not "people", and not half a sentence."""
    vague = own[-1].lower in _NOBODY | _MANY or own[0].lower in _NOBODY
    return not vague and len(own) <= _LONGEST_SUBJECT and own[-1].text != ","


def _identifies(rest: Tokens, own: Tokens, subject: Subject) -> bool:
    """Whether "is ..." can be asked back, unlike that of "X is a ship", "the weight is 9 pounds", "the colour is red"."""
    phrases = noun_phrases(rest)
    if rest[0].tag in ("PREP", "ADV") or (phrases and phrases[0].start and own[-1].tag == "NAME"):
        return True
    if not phrases or phrases[0].start or (is_title(own) and phrases[0].of(rest)[-1].lower == subject.kind):
        return False
    return head_of(own).tag == "NAME" or rest[0].tag in ("NAME", "DET")


def _about_reason(clause: Clause) -> Iterator[Asked]:
    if clause.reason and clause.subject[0].lower not in ("it", "there"):
        yield Asked(ask("why", clause, core(clause)), answer_of(clause.reason), PLAIN)


def _about_rest(clause: Clause, subject: Subject) -> Iterator[Asked]:
    """About what follows the verb, part by part."""
    rest = core(clause)
    saying = clause.is_copula and clause.subject[0].lower != "there"
    if saying:
        yield from _about_predicate(clause, rest, subject)
    else:
        yield from _about_manner(clause, rest)
    for span in noun_phrases(rest):
        yield from _about_slot(Slot(clause, rest, span, subject), saying and rest[0].tag not in ("PREP", "ADV", "ADJ"))
    begun = len(up_to_comma(clause.rest))
    for span in noun_phrases(clause.rest):
        if span.start >= begun:
            yield from in_place(Slot(clause, clause.rest, span, subject))


def _about_slot(slot: Slot, naming: bool) -> Iterator[Asked]:
    """About one noun phrase. naming: what follows the verb says by a noun what the subject is."""
    nested = any(token.tag in _NESTING for token in slot.rest[: slot.span.start])
    if slot.before.lower == "in" and slot.phrase[0].lower in en.ATTRIBUTES:
        return
    if nested or (naming and slot.span.start and not is_time(slot.phrase)):
        yield from in_place(slot)
        if not nested:
            yield from in_predicate(slot)
    elif slot.before.tag == "PREP":
        yield from after_preposition(slot)
    elif slot.span.start == 0 or slot.before.tag in ("ADV", "NOUN", "NAME", "ADJ"):
        if not slot.clause.is_copula or slot.clause.subject[0].lower == "there":
            yield from about_object(slot)
    else:
        yield from in_place(slot)


def _about_predicate(clause: Clause, rest: Tokens, subject: Subject) -> Iterator[Asked]:
    """For "X is the hero of Y", "X is dull brown in colour", "X is 9 metres long", "the purpose of X is to cut bark"."""
    while rest and rest[0].tag == "ADV":
        rest = rest[1:]
    if not rest or rest[0].tag in ("PREP", "NOT", "PART"):
        return
    phrases, own = noun_phrases(rest), clause.subject
    if len(rest) == 3 and rest[0].tag == "NUM" and rest[1].lower in en.UNITS and rest[2].tag in ("ADJ", "ADV"):
        yield Asked(ask(f"how {rest[2].lower}", clause, ()), answer_of(rest[:2]), PLAIN)
    elif len(rest) > 2 and rest[-2].lower == "in" and rest[-1].lower in en.ATTRIBUTES and rest[0].tag in ("ADJ", "NOUN"):
        yield Asked(ask(f"what {rest[-1].lower}", clause, ()), answer_of(rest[:-2]), PLAIN)
    elif phrases and phrases[0].start == 0:
        first = with_attached(rest, phrases[0])
        human = is_person_noun(head_of(own).lower) or (subject.is_person and own[-1].title)
        wh = who(with_coordinated(rest, first).of(rest), human, subject)
        yield Asked(ask(wh, clause, ()), answer_of(rest), PLAIN)
        named = named_kind(first.of(rest))
        if named is not None:
            yield Asked(ask(f"which {named[0]}", clause, ()), named[1], FURTHER)
        yield from _counted(clause, rest, phrases[0])
    else:
        rank = PLAIN if next(iter(rest)).tag in ("TO", "SUB") else FURTHER
        yield Asked(ask("what", clause, ()), answer_of(rest), rank)


def _counted(clause: Clause, rest: Tokens, span: Span) -> Iterator[Asked]:
    """The question how many pages there are in X, for "the number of pages in X is 218"."""
    own = clause.subject
    words = [token.lower for token in own]
    if "number" in words[:3] and "of" in words[:4] and rest[span.start].tag == "NUM":
        noun, _, place = written(own[words.index("of") + 1 :]).partition(" ")
        be = "were" if clause.is_past else "are"
        yield Asked(as_sentence(f"how many {noun} {be} there {place}", "?"), answer_of(span.of(rest)), PLAIN)


def _about_manner(clause: Clause, rest: Tokens) -> Iterator[Asked]:
    """What is said with "that", how something is done ("by", "through", "via"), and what something is used to do."""
    if rest and rest[0].tag == "SUB" and rest[0].lower in ("that", "how", "whether"):
        yield Asked(ask("what", clause, ()), answer_of(clause.rest), FURTHER)
    for place, token in enumerate(rest[:-1]):
        after = rest[place + 1]
        if token.tag == "TO" and place and rest[place - 1].tag in ("NOUN", "NAME"):
            yield Asked(ask("what", clause, (*rest[: place + 1], Token("do"))), answer_of(rest[place + 1 :]), FURTHER)
            return
        if token.tag == "PREP" and (token.lower in ("via", "through") or (token.lower == "by" and after.tag == "ING")):
            yield Asked(ask("how", clause, rest[:place]), answer_of(rest[place:]), FURTHER)
            return
