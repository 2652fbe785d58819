"""A text as sentences, and a sentence as tokens. Abbreviations, initials and decimals end no sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from seal_env.agents.grammar import english_words as en

ABBREVIATIONS: Final = en.words(
    """mr mrs ms dr st jr sr prof rev gen col lt maj capt sgt adm gov sen rep hon messrs vs v cf etc al approx ca c e.g i.e
    inc ltd co corp bros dept univ est jan feb apr jun jul aug sept oct nov dec mt u.s u.k d.c a.m p.m ph.d b.c a.d"""
)
ALWAYS_GO_ON: Final = en.words("mr mrs ms dr prof rev gen col lt maj capt sgt adm gov sen vs e.g i.e st mt")
"""Abbreviations after which a sentence goes on, whatever follows."""
BEFORE_NUMBERS: Final = en.words("no nos fig figs vol vols pp p ch art")
"""Abbreviations only where a number follows."""
OPENERS: Final = en.words(
    """the a an in on at by for from with this that these those it he she they his her its their there we i as after before
    during when while although since however but and one some many most all both each if to"""
)
"""Words that begin a sentence rather than go on with one after an abbreviation."""

_END = re.compile(r"[.!?]+(?:[\"'\u201d\u2019)\]]|\[\d+\])*(?=\s|$)")
_NEXT = re.compile(r"\s+[\"'\u201c\u2018(\[]*(\w[\w'\u2019-]*)")
_WORD_BEFORE = re.compile(r"[^\s(\[\"\u201c]+$")
_TOKEN = re.compile(
    r"""(?:[$£€]\s?)?\d+(?:,\d+)*(?:\.\d+)?(?:%|st\b|nd\b|rd\b|th\b|s\b)?(?:[-\u2013]\w+)*  # 1990s, 18th, $20.4, 21-day
    | (?:[A-Za-z]\.){2,}                                     # U.S.
    | (?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Rev|Gen|Col|Lt|Maj|Capt|Gov|Sen|Inc|Ltd|Co|Corp|No|vs|Mt)\.(?=\s|,|$)
    | (?<!\w)[A-Z]\.(?=\s+[A-Z])                            # initials
    | \w+(?:[-./&+]\w+|['\u2019](?!s\b)\w+)*\+?            # words
    | ['\u2019]s\b | ['\u2019](?=\s|$)                      # of possessives
    | \.\.\. | [^\w\s]""",
    re.VERBOSE,
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without spaces around them. A line break ends one too."""
    return [sentence for line in text.splitlines() for sentence in _of_line(line)]


def _of_line(line: str) -> list[str]:
    found, start = [], 0
    for end in _END.finditer(line):
        if _ends_here(line, end):
            found.append(line[start : end.end()].strip())
            start = end.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if re.search(r"\w", sentence)]


def _ends_here(line: str, end: re.Match[str]) -> bool:
    """Whether the full stop ends a sentence. A small letter after it goes on with one."""
    following = _NEXT.match(line, end.end())
    if following is None:
        return line[end.end() :].strip() == ""
    word = following[1]
    if not (word[0].isupper() or word[0].isdigit()):
        return False
    if not end[0].startswith(".") or len(end[0]) > 1:
        return True
    before = _WORD_BEFORE.search(line, 0, end.start())
    last = before[0].lower() if before else ""
    if last in ALWAYS_GO_ON or (last in BEFORE_NUMBERS and word[0].isdigit()):
        return False
    if last in ABBREVIATIONS or re.fullmatch(r"(?:[a-z]\.)+[a-z]", last):
        return word.lower() in OPENERS
    if len(last) == 1 and last.isalpha():
        return word.lower() in OPENERS
    return True


@dataclass(frozen=True)
class Token:
    """A word or a sign. spaced: a space comes before it. tag: its part of speech, see `seal_env.agents.grammar.tagging`.

    base, form: of a verb, its base form and which form it is (base, s, past, part, ing). title: it stands for the passage's
    title, however many words that has.
    """

    text: str
    spaced: bool = True
    tag: str = ""
    base: str = ""
    form: str = ""
    title: bool = False

    @property
    def lower(self) -> str:
        """In small letters."""
        return self.text.lower()


Tokens = tuple[Token, ...]


def tokenize(sentence: str) -> Tokens:
    """The tokens of a sentence, without tags. Every character but white space is in one of them."""
    return tuple(
        Token(found[0], found.start() == 0 or sentence[found.start() - 1].isspace()) for found in _TOKEN.finditer(sentence)
    )


def written(tokens: Tokens) -> str:
    """The tokens as text, with the spaces that they had, none at the beginning."""
    return "".join(f" {token.text}" if token.spaced else token.text for token in tokens).strip()


def as_sentence(text: str, end: str = ".") -> str:
    """With a capital letter and one full stop, or another `end`."""
    text = re.sub(r"\s+([,;:])", r"\1", " ".join(text.split())).rstrip(" .,;:?!")
    return f"{text[:1].upper()}{text[1:]}{end}"
