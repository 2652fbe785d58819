"""Noun phrases of a tagged sentence, as places of tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.sentences import Token, Tokens

HEADS: Final = frozenset(("NOUN", "NAME", "NUM"))
_INSIDE: Final = HEADS | {"ADJ", "POSS"}


class Span(NamedTuple):
    """Tokens from start up to, not with, end."""

    start: int
    end: int

    def of(self, tokens: Tokens) -> Tokens:
        """These tokens."""
        return tokens[self.start : self.end]


@lru_cache(maxsize=1024)
def noun_phrases(tokens: Tokens) -> tuple[Span, ...]:
    """Noun phrases without what follows their last noun: articles, adjectives, numbers, nouns, names, possessors."""
    found: list[Span] = []
    place = 0
    while place < len(tokens):
        end = _end(tokens, place)
        head = next((each for each in range(end - 1, place - 1, -1) if tokens[each].tag in HEADS), None)
        if head is None:
            place = max(end, place + 1)
            continue
        found.append(Span(place, head + 1))
        place = head + 1
    return tuple(found)


def _end(tokens: Tokens, start: int) -> int:
    """Where the run of tokens of one noun phrase that begins at `start` ends; `start` itself if none begins there."""
    place = start
    while place < len(tokens) and tokens[place].tag == "DET":
        place += 1
    while place < len(tokens) and (tokens[place].tag in _INSIDE or _is_within(tokens, place)):
        if place > start and _begins_another(tokens[place - 1], tokens[place]) and tokens[place - 2].tag != "DET":
            break
        place += 1
    return place


def _is_within(tokens: Tokens, place: int) -> bool:
    """An adverb before an adjective, "and" between adjectives, a comma within a date."""
    before = tokens[place - 1].tag if place else ""
    after = tokens[place + 1].tag if place + 1 < len(tokens) else ""
    if tokens[place].tag == "ADV":
        return after == "ADJ" and before in ("DET", "ADJ")
    if tokens[place].lower in ("and", "or"):
        return before == "ADJ" and after == "ADJ" and place + 2 < len(tokens) and tokens[place + 2].tag in ("NOUN", "ADJ")
    if tokens[place].text == ",":
        return (
            is_year(tokens[place + 1]) and before == "NUM" and tokens[place - 2].lower in en.MONTHS
            if after == "NUM"
            else False
        )
    return tokens[place].tag == "DET" and before == "POSS"


def _begins_another(before: Token, token: Token) -> bool:
    """Whether a noun phrase of its own begins after a year, as in "in 2010 | Sky"."""
    return is_year(before) and token.tag in ("NAME", "ADJ") and token.lower not in en.MONTHS


def is_year(token: Token) -> bool:
    """A number that can be a year."""
    return token.tag == "NUM" and len(token.text) == 4 and token.text.isdigit() and "1000" <= token.text < "2100"


def with_attached(tokens: Tokens, span: Span, prepositions: frozenset[str] = frozenset(("of",))) -> Span:
    """The noun phrase with those that follow after one of the prepositions: "the hero of the book"."""
    after = {each.start: each for each in noun_phrases(tokens[span.end :])}
    end, start = span.end, span.end
    while end + 1 < len(tokens) and tokens[end].lower in prepositions and tokens[end].tag == "PREP":
        following = after.get(end + 1 - start)
        if following is None:
            break
        end = start + following.end
    return Span(span.start, end)


def with_coordinated(tokens: Tokens, span: Span) -> Span:
    """The noun phrase with those that are listed after it: "Subutai and Jebe", "a, b and c"."""
    starts = {each.start: each for each in noun_phrases(tokens)}
    end, place = span.end, span.end
    closed, items = False, 1
    while place < len(tokens) and not closed:
        comma = tokens[place].text == ","
        place += comma
        if place < len(tokens) and tokens[place].lower in ("and", "or", "&"):
            if comma and items < 2:
                return span
            closed, place = True, place + 1
        following = starts.get(place)
        if place == end or following is None:
            break
        attached = with_attached(tokens, following)
        if closed:
            end = attached.end
        place, items = attached.end, items + 1
    return Span(span.start, end) if closed else span


def head_of(tokens: Tokens) -> Token:
    """The noun that a noun phrase is about: the last one before what is attached by a preposition."""
    cut = next(
        (place for place, token in enumerate(tokens) if token.tag in ("PREP", "SUB", "PART", "ING", "TO") and place),
        len(tokens),
    )
    return next((token for token in reversed(tokens[:cut]) if token.tag in HEADS or token.tag == "PRON"), tokens[-1])


def is_plural(tokens: Tokens) -> bool:
    """Whether a noun phrase is of several things."""
    if any(token.lower == "and" for token in tokens) and not any(token.tag == "PREP" for token in tokens):
        return True
    head = head_of(tokens)
    if head.tag == "PRON":
        return head.lower in ("they", "we", "you", "these", "those", "many", "both", "few", "some", "others")
    plural = head.lower.endswith("s") and not head.lower.endswith(("ss", "us", "is"))
    return head.tag == "NOUN" and (plural or head.lower in ("people", "children", "men", "women", "police"))
