"""Simple clauses of a tagged sentence: subject, verb, the rest. Coordinated, relative and appositive parts become their own.

Left out: clauses without a verb of their own, questions, commands. A part that cannot be read is left as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.clause import Clause, be_of, in_mid_sentence
from seal_env.agents.grammar.noun_phrases import HEADS, head_of, is_plural, is_year, noun_phrases, with_attached
from seal_env.agents.grammar.sentences import Token, Tokens, written

_LEADING: Final = frozenset(("CONJ", "ADV", "NOT", "PUNCT"))
_CLAUSAL: Final = en.words("while whereas although though because if when unless since as after before until")
_BREAKS: Final = (";", ":", "\u2014", "\u2013", "-", "--")
_OPENERS: Final = ("(", "[")
_CLOSERS: Final = (")", "]")
_QUOTES: Final = frozenset('"\u201c\u201d«»')
_LONG_SUBJECT: Final = 6
_INVERTING: Final = en.words("be lie live stand sit come hang rise begin")


def clauses_of(sentence: Tokens) -> list[Clause]:
    """The clauses of a tagged sentence, main clauses in their order, each followed by what was within it."""
    plain = without_quotes(without_brackets(sentence))
    found: list[Clause] = []
    for part in _split(plain, _BREAKS):
        for piece in _pieces(_trimmed(part)):
            found += _clauses(piece)
    return [clause for clause in found if clause.subject and written(clause.subject)]


def without_quotes(tokens: Tokens) -> Tokens:
    """The tokens without quotation marks."""
    kept: list[Token] = []
    for before, token in zip((None, *tokens), tokens, strict=False):
        if token.text not in _QUOTES:
            after_quote = before is not None and before.text in _QUOTES and before.spaced
            kept.append(replace(token, spaced=True) if after_quote else token)
    return tuple(kept)


def without_brackets(tokens: Tokens) -> Tokens:
    """The tokens that are not within brackets."""
    kept, depth = [], 0
    for token in tokens:
        depth += token.text in _OPENERS
        if not depth:
            kept.append(token)
        depth = max(0, depth - (token.text in _CLOSERS))
    return tuple(kept)


def _split(tokens: Tokens, signs: tuple[str, ...]) -> Iterator[Tokens]:
    start = 0
    for place, token in enumerate(tokens):
        if token.text in signs and (token.text != "-" or token.spaced):
            yield tokens[start:place]
            start = place + 1
    yield tokens[start:]


def _trimmed(tokens: Tokens) -> Tokens:
    """Without signs, conjunctions and adverbs at its beginning, and signs at its end."""
    start, end = 0, len(tokens)
    while start < end and (_leads(tokens, start) or _connects(tokens, start)):
        start += 1 if not _connects(tokens, start) else 3
    while end > start and tokens[end - 1].tag in ("PUNCT", "CONJ"):
        end -= 1
    return tokens[start:end]


def _leads(tokens: Tokens, start: int) -> bool:
    """Whether a token is nothing to begin a clause with, unlike the "nearly" of "nearly 20 boats"."""
    following = [token.tag for token in tokens[start + 1 : start + 3]]
    counted = tokens[start].lower in en.APPROXIMATE and "NUM" in following
    return tokens[start].tag in _LEADING and not counted


def _connects(tokens: Tokens, start: int) -> bool:
    """Whether the next three tokens are "For example," or the like."""
    words = [token.lower for token in tokens[start : start + 3]]
    return len(words) == 3 and words[2] == "," and " ".join(words[:2]) in (
        "for example", "in addition", "in fact", "in summary", "for instance", "in practice", "in general", "in particular",
        "over time", "of course", "in turn", "as such", "in theory", "in contrast",
    )  # fmt: skip


def verb_groups(tokens: Tokens) -> list[int]:
    """Where the verbs of the main clauses begin. A verb after who, that or because belongs to a clause within."""
    found, waiting, place = [], 0, 0
    while place < len(tokens):
        token = tokens[place]
        if token.tag == "SUB":
            following = tokens[place + 1].tag if place + 1 < len(tokens) else ""
            waiting += not (token.lower in _CLAUSAL and following in ("ING", "PART"))
        elif token.tag in ("VERB", "AUX"):
            if waiting:
                waiting -= 1
            else:
                found.append(place)
            place = _main_verb(tokens, place)
        place += 1
    return found


def _main_verb(tokens: Tokens, first: int) -> int:
    """Place of the main verb of the group that begins at `first`."""
    main = place = first
    while place < len(tokens) and tokens[main].tag == "AUX":
        place += 1
        while place < len(tokens) and tokens[place].tag in ("ADV", "NOT"):
            place += 1
        if place >= len(tokens) or tokens[place].tag not in ("AUX", "VERB"):
            break
        main = place
    return main


def _pieces(tokens: Tokens) -> Iterator[Tokens]:
    """The tokens cut where one clause ends and another begins, the subject said again where both have the same."""
    if tokens and tokens[0].tag in ("SUB", "PREP") and tokens[0].lower in _CLAUSAL:
        cut = _end_of_opening_clause(tokens)
        if cut is not None:
            if tokens[0].lower in ("while", "whereas", "although", "though", "because", "since"):
                yield from _pieces(_trimmed(tokens[1:cut]))
            yield from _pieces(_trimmed(tokens[cut + 1 :]))
            return
    verbs = verb_groups(tokens)
    if len(verbs) < 2:
        yield tokens
        return
    cut, shared = _boundary(tokens, verbs[0], verbs[1])
    if cut is None:
        yield tokens[: verbs[1]] if tokens[verbs[1] - 1].text == "," else tokens
        return
    yield _trimmed(tokens[:cut])
    following = _trimmed(tokens[cut:])
    if shared:
        helped = following[0].tag == "VERB" and following[0].form not in ("s", "past")
        auxiliaries = tokens[verbs[0] : _main_verb(tokens, verbs[0])] if helped else ()
        following = (*_subject_part(tokens[: verbs[0]])[0], *auxiliaries, *following)
    if following != tokens:
        yield from _pieces(following)


def _end_of_opening_clause(tokens: Tokens) -> int | None:
    """Place of the comma that ends a clause with "while", "when" or the like, if it has a verb and another one follows."""
    for place, token in enumerate(tokens):
        if token.text != ",":
            continue
        has_verb = any(each.tag in ("VERB", "AUX") for each in tokens[:place])
        if has_verb and verb_groups(tokens[place + 1 :]) and tokens[place + 1].tag not in ("VERB", "AUX", "CONJ", "SUB"):
            return place
    return None


def _boundary(tokens: Tokens, first: int, second: int) -> tuple[int | None, bool]:
    """Where between two verbs the second clause begins, and whether it has the subject of the first."""
    start = _main_verb(tokens, first) + 1
    places = [place for place in range(start, second) if tokens[place].tag == "CONJ" or tokens[place].text == ","]
    if any(token.tag == "SUB" and token.lower in ("who", "which", "that") for token in tokens[start:second]):
        return None, False
    for place in reversed(places):
        between = tokens[place + 1 : second]
        if tokens[place].tag == "CONJ" and all(token.tag in ("ADV", "NOT") for token in between):
            return place, True
    with_comma = [place for place in places if tokens[place].tag == "CONJ" and tokens[place - 1].text == ","]
    for place in [*with_comma, *reversed(places)]:
        between = _trimmed(tokens[place + 1 : second])
        if (
            between
            and between[0].tag not in ("PREP", "ING", "PART", "VERB")
            and any(token.tag in HEADS | {"PRON"} for token in between)
        ):
            return place, False
    return None, False


def _clauses(tokens: Tokens) -> Iterator[Clause]:
    """The clause of a piece, and those of its relative clauses, appositions and participles."""
    verbs = verb_groups(tokens)
    if not verbs:
        return
    first = verbs[0]
    main = _main_verb(tokens, first)
    subject, fronted, asides = _subject_part_with_asides(tokens[:first])
    rest, reason, later = _rest(tokens[main + 1 :])
    adverbs: Tokens = ()
    while subject and subject[-1].tag in ("ADV", "NOT") and len(subject) > 1:
        subject, adverbs = subject[:-1], (subject[-1], *adverbs)
    if not subject:
        subject, rest = _inverted(tokens[main], rest)
    if subject:
        opening = in_mid_sentence(fronted)
        yield Clause(in_mid_sentence(subject), adverbs, tokens[first:main], tokens[main], rest, reason, opening)
        past = tokens[first].form == "past" or tokens[first].lower in ("was", "were", "had")
        for aside in asides:
            yield from _aside(subject, aside, past)
    yield from _within(subject)
    yield from _within(rest)
    for part in later:
        yield from part


def _subject_part(before: Tokens) -> tuple[Tokens, Tokens]:
    subject, fronted, _ = _subject_part_with_asides(before)
    return subject, fronted


def _subject_part_with_asides(before: Tokens) -> tuple[Tokens, Tokens, list[Tokens]]:
    """What comes before a verb: subject, what stands before it, and what is said of it between commas."""
    before = _trimmed(before) if before and before[-1].text != "," else (*_trimmed(before), before[-1]) if before else before
    fronted, before = _fronted(before)
    commas = [place for place, token in enumerate(before) if token.text == "," and not _in_date(before, place)]
    if commas and commas[-1] == len(before) - 1 and len(commas) > 1:
        return before[: commas[0]], fronted, [before[commas[0] + 1 : commas[-1]]]
    if commas and commas[-1] == len(before) - 1:
        before = before[:-1]
    return before, fronted, []


def _in_date(tokens: Tokens, place: int) -> bool:
    """The commas of "May 18, 1756,"."""
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    return after is not None and is_year(after) and place > 0 and tokens[place - 1].tag == "NUM"


def _fronted(before: Tokens) -> tuple[Tokens, Tokens]:
    """(what stands before the subject, the subject)."""
    if not before:
        return (), before
    opening = before[0]
    timely = opening.lower in ("every", "each", "all", "this", "that", "one", "some")
    if opening.tag in ("PREP", "SUB", "ING", "PART", "TO", "BASE"):
        for place, token in enumerate(before[:-1]):
            if token.text == "," and not _in_date(before, place) and before[place + 1].tag not in ("CONJ", "PREP", "PART"):
                return (before[:place] if opening.tag == "PREP" else ()), _trimmed(before[place + 1 :])
        if opening.tag == "SUB":
            phrases = noun_phrases(before)
            return (), before[phrases[-1].start :] if phrases and phrases[-1].end == len(before) else ()
        if opening.tag != "PREP":
            return (), before if opening.tag in ("ING", "TO") else ()
    elif not (timely and any(token.lower in en.TIME_NOUNS for token in before[:4])):
        return (), before
    cut = _last_start(before)
    return before[:cut], before[cut:]


def _last_start(tokens: Tokens) -> int:
    """Where, after a noun phrase has ended, another begins without anything between; the end if none does."""
    for place in range(len(tokens) - 1, 0, -1):
        token, before = tokens[place], tokens[place - 1]
        if before.tag not in HEADS:
            continue
        year = is_year(before) and token.tag in ("NAME", "NOUN", "ADJ")
        if token.tag in ("DET", "PRON") or year or (before.tag == "NOUN" and token.tag in ("NAME", "NUM")):
            return len(tokens) if year and place == len(tokens) else place
    if len(tokens) > 2 and tokens[-1].tag == "NOUN" and tokens[-2].tag in ("NOUN", "NAME") and is_plural(tokens[-1:]):
        return len(tokens) - 1
    return len(tokens)


def _inverted(verb: Token, rest: Tokens) -> tuple[Tokens, Tokens]:
    """Subject and rest where the subject comes after the verb: "in the west lies the town"."""
    phrases = noun_phrases(rest)
    if verb.base not in _INVERTING or not phrases or phrases[0].start:
        return (), rest
    end = with_attached(rest, phrases[0]).end
    while end < len(rest) and rest[end].tag in ("PART", "NAME"):
        end += 1
    return rest[:end], rest[end:]


def _rest(tokens: Tokens) -> tuple[Tokens, Tokens, list[list[Clause]]]:
    """What follows a verb: what belongs to it, a reason, and the clauses that follow with who, which or while."""
    later: list[list[Clause]] = []
    for place, token in enumerate(tokens):
        if token.tag != "SUB" and token.lower != "because":
            continue
        comma = place > 0 and tokens[place - 1].text == ","
        if token.lower == "because":
            return _trimmed_end(tokens[:place]), _trimmed_end(tokens[place:]), later
        if comma and token.lower in ("who", "which"):
            antecedent = _antecedent(tokens[: place - 1])
            if antecedent and tokens[place + 1 : place + 2] and tokens[place + 1].tag in ("VERB", "AUX", "ADV", "NOT"):
                pieces = _pieces((*antecedent, *tokens[place + 1 :]))
                later.append([clause for piece in pieces for clause in _clauses(piece)])
            return _trimmed_end(tokens[: place - 1]), (), later
        if token.lower in ("while", "whereas", "although", "though") and verb_groups(tokens[place + 1 :]):
            later += [list(_clauses(piece)) for piece in _pieces(_trimmed(tokens[place + 1 :]))]
            return _trimmed_end(tokens[:place]), (), later
    return () if tokens[:1] and tokens[0].text == "," else _trimmed_end(tokens), (), later


def _trimmed_end(tokens: Tokens) -> Tokens:
    end = len(tokens)
    while end and tokens[end - 1].tag in ("PUNCT", "CONJ"):
        end -= 1
    return tokens[:end]


def _antecedent(tokens: Tokens) -> Tokens:
    """The noun phrase with which the tokens end, with the one that it is attached to by "of"; not a date after it."""
    phrases = [span for span in noun_phrases(tokens) if head_of(span.of(tokens)).tag != "NUM"]
    for span in phrases:
        attached = with_attached(tokens, span)
        if attached.end == len(tokens) or span == phrases[-1]:
            return attached.of(tokens)
    return ()


def _aside(subject: Tokens, aside: Tokens, past: bool) -> Iterator[Clause]:
    """What is said of a subject between commas, as a clause: "Y, the owner of Z," is "Y was the owner of Z"."""
    if not aside:
        return
    be = be_of(subject, past)
    if aside[0].tag == "SUB" and aside[0].lower in ("who", "which"):
        yield from _clauses((*subject, *aside[1:]))
    elif aside[0].tag == "PART":
        yield Clause(in_mid_sentence(subject), (), (be,), replace(aside[0], tag="VERB"), aside[1:])
    elif aside[0].tag in ("DET", "NOUN", "NAME") and noun_phrases(aside) and not verb_groups(aside):
        listed = any(token.tag == "CONJ" for token in aside[-3:-1])
        if len(subject) < _LONG_SUBJECT and not listed:
            yield Clause(in_mid_sentence(subject), (), (), be, in_mid_sentence(aside))


def _within(tokens: Tokens) -> Iterator[Clause]:
    """Participles and relative clauses after a noun: "the fund established in 1989", "the children who served"."""
    done = 0
    for phrase in noun_phrases(tokens):
        span = with_attached(tokens, phrase)
        if span.start < done:
            continue
        place = done = span.end
        comma = place < len(tokens) and tokens[place].text == ","
        place += comma
        if place + 1 >= len(tokens) or head_of(span.of(tokens)).tag not in ("NOUN", "NAME"):
            continue
        token, end = tokens[place], _end_of_modifier(tokens, place + 1)
        named = head_of(span.of(tokens)).tag == "NAME" and span.start > 0 and tokens[span.start - 1].tag == "PREP"
        if named and not comma:
            continue
        if token.tag == "PART" and token.form == "part" and end > place + 2:
            be = be_of(span.of(tokens), past=True)
            yield Clause(in_mid_sentence(span.of(tokens)), (), (be,), replace(token, tag="VERB"), tokens[place + 1 : end])
        elif (
            token.tag == "SUB"
            and token.lower in ("who", "that", "which")
            and not comma
            and tokens[place + 1].tag in ("VERB", "AUX")
        ):
            yield from _clauses((*span.of(tokens), *tokens[place + 1 : end]))


def _end_of_modifier(tokens: Tokens, start: int) -> int:
    """Where what is said of a noun ends: at a comma, a conjunction before a verb, another clause."""
    for place in range(start, len(tokens)):
        token = tokens[place]
        ends = token.tag == "SUB" or (token.text == "," and not _in_date(tokens, place))
        if ends or (token.tag == "CONJ" and place + 1 < len(tokens) and tokens[place + 1].tag in ("VERB", "PART", "AUX")):
            return place
    return len(tokens)
