"""A passage as clauses that can be understood without it: what "the ship" and "it" stand for is said by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.clause import Clause, in_mid_sentence
from seal_env.agents.grammar.clauses import clauses_of
from seal_env.agents.grammar.noun_phrases import is_plural, noun_phrases
from seal_env.agents.grammar.sentences import Token, Tokens, split_sentences, tokenize, written
from seal_env.agents.grammar.tagging import Spelling, tag_sentence

_NAMING: Final = frozenset(("called", "named"))
_NO_KINDS: Final = en.words(
    """one part member result name set kind type form term use example number time way group case series past end
    north south east west year"""
)
_LONGEST_REFERENT: Final = 6
_MOST_TOKENS: Final = 150  # a longer sentence is a list of something, and read in pieces
_POSSESSIVE_OF: Final = {"he": "his", "she": "her", "it": "its", "they": "their"}
_THE: Final = Token("the", True, "DET")


@dataclass(frozen=True)
class Subject:
    """What a passage is about, by its title. name: as it stands in a sentence, with "the" if the passage says that.

    kind: the noun that says what it is ("ship"), where the passage tells; empty where it does not. is_called_by_kind: the
    passage says "the ship" for it.
    """

    name: Tokens
    kind: str
    is_called_by_kind: bool

    @property
    def full_name(self) -> str:
        """With its kind: "the ship Tafogo"; the name alone where nobody would say that."""
        return f"the {self.kind} {self.name[-1].text}" if self.is_called_by_kind else written(self.name)

    @property
    def is_person(self) -> bool:
        """Whether its kind is one of people."""
        return is_person_noun(self.kind)


def is_person_noun(noun: str) -> bool:
    """Whether a noun is of people: "king", and "founder" from "found"."""
    if noun in en.PERSON_NOUNS:
        return True
    if noun in _THINGS or not noun.endswith(("er", "or")):
        return noun.endswith(("ist", "eer", "woman")) and len(noun) > 5
    return any(
        base in en.VERBS for base in (noun[:-2], noun[:-1], f"{noun[:-2]}e", noun[:-3] if noun[-3:-2] == noun[-4:-3] else "")
    )


_THINGS: Final = en.words(
    """computer container counter cooker printer trailer reactor tractor motor factor sector order matter number
    letter center conductor indicator boiler washer planter steamer liner carrier fighter bomber marker poster
    starter cover power river tower paper layer meter corner border dinner winter summer water chapter"""
)


class Reading(NamedTuple):
    """What the passage is about, its tagged sentences with its name in place of "the ship", and its clauses, in order."""

    subject: Subject
    sentences: tuple[Tokens, ...]
    clauses: tuple[Clause, ...]


def read_passage(title: str, text: str) -> Reading:
    """Reads a passage. What a title has in brackets or after a comma is no part of it."""
    title = re.split(r"\s*[(,]", title.strip(), maxsplit=1)[0] or title.strip()
    whole = [_with_title(tokenize(sentence), title) for sentence in split_sentences(text)]
    sentences = [tokens[start : start + _MOST_TOKENS] for tokens in whole for start in range(0, len(tokens), _MOST_TOKENS)]
    spelling = Spelling.of(sentences)
    tagged = [tag_sentence(sentence, spelling) for sentence in sentences]
    subject = _subject(title, tagged)
    clauses: list[Clause] = []
    topic = _Topic(subject)
    named_sentences = tuple(_by_name(sentence, subject) for sentence in tagged)
    for sentence in named_sentences:
        for clause in map(_plain, clauses_of(sentence)):
            named = topic.resolve(clause)
            if named is not None and not _says_nothing(named, subject):
                clauses.append(named)
    return Reading(subject, named_sentences, tuple(dict.fromkeys(clauses)))


def _with_title(tokens: Tokens, title: str) -> Tokens:
    """The title as one token wherever it stands."""
    words = [token.text for token in tokenize(title)]
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        if words and [token.text for token in tokens[place : place + len(words)]] == words:
            found.append(replace(tokens[place], text=title, tag="NAME", title=True))
            place += len(words)
        else:
            found.append(tokens[place])
            place += 1
    return tuple(found)


def _subject(title: str, sentences: Sequence[Tokens]) -> Subject:
    before = Counter(
        first.lower == "the"
        for sentence in sentences
        for first, second, third in zip((Token(""), *sentence), sentence, (*sentence[1:], Token("")), strict=False)
        if second.title and third.tag not in ("NAME", "NOUN", "ADJ", "POSS")
    )
    token = Token(title, True, "NAME", title=True)
    name = (_THE, token) if before[True] > before[False] else (token,)
    kinds = Counter(kind for sentence in sentences for kind in _kinds(sentence))
    kind = kinds.most_common(1)[0][0] if kinds else ""
    pairs = [pair for sentence in sentences for pair in pairwise(sentence)]
    return Subject(name, kind, bool(kind) and any(first.lower == "the" and second.lower == kind for first, second in pairs))


def _kinds(sentence: Tokens) -> Iterable[str]:
    """Nouns by which a sentence says what the title is: "X is an old ship", "the ship called X", "the ship X"."""
    for span in noun_phrases(sentence):
        phrase = span.of(sentence)
        rest = [token for token in sentence[span.end : span.end + 3] if token.tag != "DET"]
        if phrase[-1].tag == "NOUN" and len(rest) > 1 and rest[0].lower in _NAMING and rest[1].title:
            yield from _kind(phrase[-1])
        if len(phrase) == 3 and phrase[2].title and phrase[1].tag == "NOUN":
            yield from _kind(phrase[1])
    if any(token.title for token in sentence[:2]):
        for clause in clauses_of(sentence)[:1]:
            phrases = noun_phrases(clause.rest)
            stands = clause.is_copula and clause.subject[-1].title and phrases and phrases[0].start == 0
            if stands and clause.rest[0].lower in ("a", "an", "one"):
                yield from _kind(clause.rest[phrases[0].end - 1])


def _kind(noun: Token) -> Iterable[str]:
    if noun.tag == "NOUN" and noun.lower not in _NO_KINDS and noun.text[0].islower():
        yield noun.lower


def _by_name(sentence: Tokens, subject: Subject) -> Tokens:
    """With the name in place of "the ship"."""
    found: list[Token] = []
    place = 0
    while place < len(sentence):
        following = sentence[place + 2] if place + 2 < len(sentence) else None
        alone = following is None or not (
            (following.tag in ("NAME", "SUB", "PART", "NOUN", "NUM", "POSS") and following.tag != "POSS")
            or following.lower == "of"
        )
        if (
            alone
            and subject.kind
            and sentence[place].lower in ("the", "this")
            and place + 1 < len(sentence)
            and sentence[place + 1].lower == subject.kind
        ):
            found += (replace(subject.name[0], spaced=sentence[place].spaced), *subject.name[1:])
            place += 2
        else:
            found.append(sentence[place])
            place += 1
    return tuple(found)


def _plain(clause: Clause) -> Clause:
    """Makes "the year 1300 is when it was founded" into "it was founded in the year 1300"."""
    if not (
        clause.is_copula and clause.rest and clause.rest[0].lower in ("when", "where") and clause.subject[0].tag != "PRON"
    ):
        return clause
    inner = clauses_of(clause.rest[1:])
    if not inner:
        return clause
    preposition = Token("on" if any(token.lower in en.MONTHS for token in clause.subject) else "in", True, "PREP")
    return replace(inner[0], opening=(*inner[0].opening, preposition, *in_mid_sentence(clause.subject)))


def _says_nothing(clause: Clause, subject: Subject) -> bool:
    """Whether it only says "a ship was called X" of what is known to be X."""
    named = clause.verb.lower in _NAMING and any(token.title for token in clause.rest[:2])
    return named or (bool(subject.kind) and len(clause.subject) == 2 and clause.subject[-1].lower == subject.kind)


class _Topic:
    """What "it" stands for: the subject of the clause before, or what the passage is about."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self._last = subject, Counter[str]()
        self._referents: dict[bool, Tokens] = {}

    def resolve(self, clause: Clause) -> Clause | None:
        """The clause with a name in place of a pronoun that stands for one; None if it is not known for what."""
        first = clause.subject[0]
        if len(clause.subject) == 1 and first.lower in en.REFERRING | {"one"}:
            impersonal = first.lower == "it" and (
                clause.verb.base in ("take", "rain") or (clause.rest[:1] and clause.rest[-1].tag == "")
            )
            if impersonal or first.lower == "one":
                return clause
            referent = self._referent(first.lower)
            return None if referent is None else replace(clause, subject=referent)
        if first.lower in _POSSESSIVE_OF.values() and len(clause.subject) > 1:
            referent = self._referent(next(word for word, own in _POSSESSIVE_OF.items() if own == first.lower))
            if referent is None or len(referent) > 3:
                return clause
            return replace(clause, subject=(*referent, Token("'s", False, "POSS"), *clause.subject[1:]))
        if first.tag != "PRON" and len(clause.subject) <= _LONGEST_REFERENT:
            self._referents[is_plural(clause.subject)] = clause.subject
        return clause

    def _referent(self, pronoun: str) -> Tokens | None:
        if pronoun in ("this", "these", "that", "those"):
            return None
        if pronoun == "they":
            return self._referents.get(True)
        person = pronoun in ("he", "she")
        if self._subject.kind and person == self._subject.is_person:
            return self._subject.name
        last = self._referents.get(False)
        if last is None or (person and not _may_be_person(last)):
            return None
        return last


def _may_be_person(tokens: Tokens) -> bool:
    return tokens[-1].tag == "NAME" or (is_person_noun(tokens[-1].lower) and bool(re.match(r"\w", tokens[-1].text)))
