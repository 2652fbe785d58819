"""Questions for a noun phrase that follows a verb: an object, what stands after a preposition, a time, a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.asked import DETAIL, FURTHER, IN_PLACE, PLAIN, REWORDED, Asked, answer_of, is_empty
from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.noun_phrases import Span, head_of, is_year, noun_phrases, with_attached, with_coordinated
from seal_env.agents.grammar.passage_reader import Subject
from seal_env.agents.grammar.question_words import is_time, is_title, is_who, named_kind, number_in, what_kind, who
from seal_env.agents.grammar.sentences import Token, Tokens, as_sentence, written
from seal_env.agents.grammar.word_order import ask, ask_in_order

_EVERY: Final = en.words("every each this that last next all")
_DONE_TO_PEOPLE: Final = en.words("marry teach meet honour honor defeat appoint kill love succeed")
_TIME_WORDS: Final = {
    "since": "since when",
    "until": "until when",
    "till": "until when",
    "by": "by when",
    "from": "from when",
    "before": "before when",
    "after": "after when",
}


@dataclass(frozen=True)
class Slot:
    """A noun phrase, `span`, within `rest`, which is what follows the clause's verb. subject: what the passage is about."""

    clause: Clause
    rest: Tokens
    span: Span
    subject: Subject

    @property
    def phrase(self) -> Tokens:
        """The noun phrase alone."""
        return self.span.of(self.rest)

    @property
    def before(self) -> Token:
        """The token before it; an empty one if it comes first."""
        return self.rest[self.span.start - 1] if self.span.start else Token("")

    @property
    def attached(self) -> Span:
        """With what is attached to it by "of"."""
        return with_attached(self.rest, self.span)

    @property
    def whole(self) -> Span:
        """With what is attached to it, listed after it and said of it: "the game called X", "a form that is useful"."""
        listed = with_coordinated(self.rest, self.attached)
        following = self.rest[listed.end] if listed.end < len(self.rest) else Token("")
        said = following.tag in ("PART", "SUB", "ING") and following.lower not in ("because", "while", "when")
        return Span(listed.start, len(self.rest)) if said else listed

    def without(self, start: int, end: int) -> Tokens:
        """What follows the verb, without some tokens of it."""
        return (*self.rest[:start], *self.rest[end:])

    def ask(self, wh: str, left: Tokens) -> str:
        """The question about the clause, see `word_order.ask`."""
        return ask(wh, self.clause, left)


def about_object(slot: Slot) -> Iterator[Asked]:
    """Questions for a noun phrase that stands after no preposition."""
    numbered, whole, phrase = number_in(slot.phrase), slot.whole, slot.phrase
    left, answer = slot.without(*whole), answer_of(whole.of(slot.rest))
    if numbered is not None:
        yield Asked(slot.ask(numbered[0], slot.without(*slot.span)), numbered[1], PLAIN)
    if slot.clause.subject[0].lower == "there":
        if left and left[0].lower in en.PLACE_PREPOSITIONS:
            yield Asked(as_sentence(f"what {slot.clause.verb.text} {written(left)}", "?"), answer, PLAIN)
    elif is_time(phrase) and (phrase[0].lower in _EVERY or phrase[-1].tag == "NUM"):
        yield Asked(slot.ask("when", left), answer, FURTHER)
    elif slot.subject.kind and is_title(phrase):
        yield Asked(slot.ask(f"which {slot.subject.kind}", left), phrase[-1].text, PLAIN)
    else:
        wh = who(whole.of(slot.rest), slot.clause.verb.base in _DONE_TO_PEOPLE, slot.subject)
        yield Asked(slot.ask(wh, left), answer, PLAIN if numbered is None else REWORDED)
        following = slot.rest[whole.end :]
        if following and following[0].tag == "PREP" and not is_time(following[1:]):
            yield Asked(slot.ask(wh, ()), answer_of(slot.rest[slot.span.start :]), FURTHER)
        yield from _about_parts(slot, "", left, FURTHER)


def _about_parts(slot: Slot, words: str, left: Tokens, rank: int) -> Iterator[Asked]:
    """The name in "the town of Vetek", the kind in "a double membrane", what is attached by "of"."""
    named, kind = named_kind(slot.attached.of(slot.rest)), what_kind(slot.phrase)
    if named is not None:
        yield Asked(slot.ask(f"{words} which {named[0]}", left), named[1], rank)
    if kind is not None:
        start = slot.span.start - len(words.split())
        attribute = not kind[0].startswith("what kind")
        yield Asked(
            slot.ask(f"{words} {kind[0]}", slot.without(start, slot.span.end)), kind[1], PLAIN if attribute else DETAIL
        )
    for inner in noun_phrases(slot.rest[slot.span.end : slot.attached.end]):
        place = Span(inner.start + slot.span.end, inner.end + slot.span.end)
        phrase = place.of(slot.rest)
        if not any(token.title for token in phrase):
            useful = any(token.tag in ("NAME", "NUM") for token in phrase)
            question = slot.ask(who(phrase, human=True, subject=slot.subject), slot.without(*place))
            yield Asked(question, answer_of(phrase), FURTHER if useful else IN_PLACE)


def after_preposition(slot: Slot) -> Iterator[Asked]:
    """Questions for a noun phrase that stands after a preposition."""
    start, whole, phrase = _start_of_preposition(slot), slot.whole, slot.phrase
    answer, words, left = whole.of(slot.rest), written(slot.rest[start : slot.span.start]), slot.without(start, whole.end)
    attached = slot.before.lower == "of" and start > 0 and slot.rest[start - 1].tag in ("NOUN", "NAME", "NUM", "PRON")
    numbered = number_in(phrase)
    if attached or is_empty(answer):
        return
    if is_time(phrase):
        yield from _about_time(slot, Span(start, whole.end))
    elif numbered is not None:
        yield from _about_number(slot, start, words, numbered)
    elif slot.subject.kind and is_title(answer):
        yield Asked(slot.ask(f"{words} which {slot.subject.kind}", left), answer[-1].text, PLAIN)
    elif _is_place(slot, answer):
        kept = (*left, slot.before) if slot.before.lower in ("from", "into") and not slot.clause.is_copula else left
        yield Asked(slot.ask("where", kept), answer_of(answer), PLAIN)
        named = named_kind(slot.attached.of(slot.rest))
        if named is not None:
            yield Asked(slot.ask(f"{words} which {named[0]}", left), named[1], PLAIN)
    else:
        by = slot.before.lower == "by" and slot.clause.is_passive and slot.clause.verb.base in en.HUMAN_VERBS
        person = is_who(answer, by or slot.clause.verb.base in ("marry", "belong"), slot.subject)
        yield Asked(slot.ask(f"{words} {'whom' if person else 'what'}", left), answer_of(answer), PLAIN)
        stranded = (*left, *slot.rest[start : slot.span.start])
        yield Asked(slot.ask("who" if person else "what", stranded), answer_of(answer), REWORDED)
        yield from _about_parts(slot, words, left, PLAIN)


def _start_of_preposition(slot: Slot) -> int:
    """Where the preposition begins: "out of" has two words."""
    start = slot.span.start - 1
    double = slot.before.lower in ("of", "for") and start > 0 and slot.rest[start - 1].lower in ("out", "because", "as")
    return start - double


def _is_place(slot: Slot, answer: Tokens) -> bool:
    """Whether a preposition says where: of names after "to" and the like only where something moves."""
    head, preposition = head_of(answer), slot.before.lower
    if preposition not in en.PLACE_PREPOSITIONS:
        return False
    moved = preposition not in ("to", "from", "into") or slot.clause.verb.base in en.MOTIONS
    return head.lower in en.PLACE_NOUNS or (head.tag == "NAME" and moved)


def _about_number(slot: Slot, start: int, words: str, numbered: tuple[str, str]) -> Iterator[Asked]:
    duration = slot.before.lower == "for" and slot.phrase[-1].lower in en.LENGTH_OF_TIME
    left = slot.without(start, slot.span.end)
    yield Asked(slot.ask("how long" if duration else f"{words} {numbered[0]}", left), numbered[1], PLAIN)
    if duration:
        yield Asked(slot.ask(f"for {numbered[0]}", left), numbered[1], REWORDED)


def _about_time(slot: Slot, whole: Span) -> Iterator[Asked]:
    preposition, left = slot.before.lower, slot.without(*whole)
    ranges = preposition == "from" and any(token.lower == "to" for token in slot.rest[whole.end :])
    if ranges or preposition in ("to", "between", "of"):
        return
    dated = any(token.lower in en.MONTHS for token in slot.phrase)
    years = [token for token in slot.phrase if is_year(token)]
    short = years[0].text if years and not dated else answer_of(slot.phrase)
    yield Asked(slot.ask(_TIME_WORDS.get(preposition, "when"), left), short, PLAIN)
    if years and not dated:
        yield Asked(slot.ask(f"{preposition} which year", left), short, REWORDED)
    elif dated and preposition == "on":
        yield Asked(slot.ask("on which day", left), short, REWORDED)


def in_predicate(slot: Slot) -> Iterator[Asked]:
    """The question what X is a member of, for "X is a member of Y"."""
    start = max((place + 1 for place in range(slot.span.start) if slot.rest[place].tag == "CONJ"), default=0)
    answer = with_coordinated(slot.rest, slot.attached).of(slot.rest)
    if slot.before.tag == "PREP" and not is_empty(answer):
        question = slot.ask(who(answer, human=False, subject=slot.subject), slot.rest[start : slot.span.start])
        yield Asked(question, answer_of(answer), FURTHER)


def in_place(slot: Slot) -> Iterator[Asked]:
    """The question with its question word where the answer was: "X announced that it would close what?"."""
    if slot.clause.subject[0].lower in ("it", "there") or slot.before.lower == "of":
        return
    whole = with_coordinated(slot.rest, slot.attached)
    answer, numbered, start = whole.of(slot.rest), number_in(whole.of(slot.rest)), whole.start
    if is_time(slot.phrase) and slot.before.lower in ("in", "on", "at"):
        wh, text, start = "when", answer_of(answer), start - 1
    elif numbered is not None:
        wh, text = numbered
    else:
        wh, text = who(answer, human=False, subject=slot.subject), answer_of(answer)
    yield Asked(ask_in_order(slot.clause, slot.rest[:start], wh, slot.rest[whole.end :]), text, IN_PLACE)
