"""Which words are verbs: a second look at those that a list or an ending makes possible, from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.sentences import Token, Tokens

OPEN: Final = "?"
"""The tag of what may be a verb."""

NOMINAL: Final = frozenset(("NOUN", "NAME", "NUM", "PRON"))
_SKIPPED: Final = frozenset(("ADV", "NOT"))
_AFTER_A_VERB: Final = frozenset(("DET", "NAME", "NUM", "PRON", "PREP", "TO", "ADV", "SUB", "POSS"))
_ENDS: Final = frozenset(("PUNCT", "SUB", "VERB", "AUX", "CONJ"))
_PAST: Final = en.words("was were had did")
_SINGULAR: Final = en.words("is has does")
_NAMING: Final = en.words("called named termed dubbed titled entitled given")
_RELATIVE: Final = frozenset(("who", "which", "that"))
_AUXILIARIES: Final = (("be", en.BE), ("have", en.HAVE), ("do", en.DO))
_PLURALS: Final = en.words("people children men women police both many most some few others all we they you i")
_NEVER_PLURAL = ("ss", "us", "is")


@lru_cache(maxsize=4096)
def verb_kinds(lower: str) -> tuple[tuple[str, str], ...]:
    """Every (base form, form) of a verb that a word can be; of words in -ed and -ing that are in no list, a guess."""
    known = en.VERB_FORMS.get(lower, ())
    if known or "-" in lower:
        return known
    if lower.endswith("ed") and len(lower) > 4 and not lower.endswith(("eed", "hundred")):
        base = _base(lower[:-2])
        return ((base, "past"), (base, "part"))
    if lower.endswith("ing") and len(lower) > 5 and lower not in ("during", "evening", "morning", "nothing", "something"):
        return ((_base(lower[:-3]), "ing"),)
    return ()


def _base(stem: str) -> str:
    """The likely base form of a regular verb without its ending."""
    if stem.endswith("i"):
        return f"{stem[:-1]}y"
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "sl":
        return stem[:-1]
    silent = stem.endswith(
        ("at", "iz", "is", "ut", "v", "c", "dg", "rg", "ng", "u", "ur", "os", "as", "us")
    ) and not stem.endswith("eat")
    return f"{stem}e" if silent else stem


def tag_verbs(tokens: Sequence[Token]) -> Tokens:
    """The tokens with a tag in place of each OPEN."""
    return _Reader(list(tokens)).read()


class _Reader:
    """Goes through a sentence once. What it keeps in mind: whether the clause has its verb, and where a new one could begin.

    waiting: clauses that were opened by a SUB and have no verb yet. main: the clause around them has one. fresh: what came
    since the last verb: 2 a conjunction or a semicolon, 1 a comma, 0 neither.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._waiting, self._main, self._fresh, self._noun = 0, False, 2, False
        self._last: Token | None = None
        self._form = ""

    def read(self) -> Tokens:
        """The tokens with all tags."""
        for place, token in enumerate(self._tokens):
            self._tokens[place] = self._read(place, token)
            self._note(place, self._tokens[place])
        if not any(token.tag in ("VERB", "AUX") for token in self._tokens):
            self._take_any()
        return tuple(self._tokens)

    def _read(self, place: int, token: Token) -> Token:
        if token.tag == OPEN:
            return self._decide(place)
        if token.tag == "AUX":
            return replace(token, base=next((base for base, forms in _AUXILIARIES if token.lower in forms), token.lower))
        if token.lower == "like" and self._likes(place):
            return replace(token, tag="VERB", base="like", form="base")
        return token

    def _take_any(self) -> None:
        """A sentence has a verb: the first word that could be one."""
        for place, token in enumerate(self._tokens):
            bases = {form: base for base, form in reversed(verb_kinds(token.lower))}
            form = next((each for each in ("past", "s", "base") if each in bases), "")
            described = self._before(place).tag in ("DET", "POSS", "ADJ", "NUM")
            if place and form and token.tag in ("NOUN", "PART") and not described:
                self._tokens[place] = replace(token, tag="VERB", base=bases[form], form=form)
                return

    def _note(self, place: int, token: Token) -> None:
        if token.tag == "SUB":
            self._waiting += 1
            self._fresh = 2
        elif token.tag == "CONJ" or token.text in (";", ":", "\u2014", "\u2013"):
            self._fresh = 2
        elif token.tag == "PUNCT":
            self._fresh = max(self._fresh, 1)
        elif token.tag in ("AUX", "VERB"):
            if self._before(place).tag != "AUX":
                self._main = self._main or not self._waiting
                self._waiting = max(0, self._waiting - 1)
            self._fresh = 0
        self._noun = self._noun or token.tag in NOMINAL
        if token.tag in ("VERB", "PART", "BASE", "ING"):
            self._last = token
        if token.tag in ("VERB", "AUX") and self._before(place).tag != "AUX":
            helping = "past" if token.lower in _PAST else "s" if token.lower in _SINGULAR else "base"
            self._form = token.form or helping

    def _before(self, place: int) -> Token:
        """The nearest token before that is no adverb; an empty one at the beginning."""
        return next((each for each in reversed(self._tokens[:place]) if each.tag not in _SKIPPED), Token("", tag="PUNCT"))

    def _after(self, place: int) -> Token:
        return self._tokens[place + 1] if place + 1 < len(self._tokens) else Token("", tag="PUNCT")

    def _likes(self, place: int) -> bool:
        before, after = self._before(place), self._after(place)
        liked = after.tag == "TO" or (after.tag == "DET" and not self._main and not self._finite_ahead(place))
        return before.lower in en.MODALS or (_is_many(before) and liked)

    def _decide(self, place: int) -> Token:
        token, before = self._tokens[place], self._before(place)
        bases = {form: base for base, form in reversed(verb_kinds(token.lower))}
        tag, form = self._after_small_word(before, bases) or self._free(place, before, bases)
        return replace(token, tag=tag, base=bases.get(form, ""), form=form)

    def _after_small_word(self, before: Token, bases: dict[str, str]) -> tuple[str, str] | None:
        """Where the word before decides."""
        lower = before.lower
        if before.tag == "TO" and "base" in bases:
            return "BASE", "base"
        if before.tag == "AUX":
            return self._after_auxiliary(lower, bases)
        if lower in en.SUBJECT_PRONOUNS and before.tag == "PRON":
            return next((("VERB", form) for form in ("past", "s", "base") if form in bases), None)
        return None

    @staticmethod
    def _after_auxiliary(lower: str, bases: dict[str, str]) -> tuple[str, str] | None:
        if (lower in en.MODALS or lower in en.DO) and "base" in bases:
            return "VERB", "base"
        if lower in en.HAVE | en.BE and "part" in bases:
            return "VERB", "part"
        if lower in en.BE and "ing" in bases:
            return "VERB", "ing"
        return None

    def _free(self, place: int, before: Token, bases: dict[str, str]) -> tuple[str, str]:
        after = self._after(place)
        if "ing" in bases:
            return self._ing(before, after), "ing"
        nominal = after.tag in ("NOUN", "NAME", "ADJ", OPEN)
        opening = before.tag in ("PUNCT", "CONJ") or (before.tag == "SUB" and before.lower not in _RELATIVE)
        if before.tag in ("DET", "POSS", "PREP") or (before.tag in ("ADJ", "NUM") and nominal):
            return self._no_verb(place, bases)
        if (
            (opening or before.tag in ("VERB", "BASE"))
            and "part" in bases
            and "base" not in bases
            and after.tag in ("NOUN", OPEN)
        ):
            return "ADJ", "part"
        if "past" in bases and "base" not in bases:
            return self._past(place, before, bases)
        if "part" in bases and "base" not in bases:
            return ("ADJ" if before.tag == "CONJ" and nominal else "PART"), "part"
        if "s" in bases and self._is_present(place, before, bases["s"], singular=True):
            return "VERB", "s"
        if "base" in bases and "past" in bases and self._is_present(place, before, bases["past"], not _is_many(before)):
            return "VERB", "past"
        if "base" in bases and self._is_present(place, before, bases["base"], singular=False):
            return "VERB", "base"
        return self._no_verb(place, bases)

    def _no_verb(self, place: int, bases: dict[str, str]) -> tuple[str, str]:
        lower = self._tokens[place].lower
        participle = "part" in bases and "base" not in bases
        return ("ADJ" if participle or lower in en.ADJECTIVES else "NOUN"), ("part" if participle else "")

    def _ing(self, before: Token, after: Token) -> str:
        if before.tag in ("DET", "POSS", "ADJ", "NUM") or before.lower in ("with", "against", "despite", "like"):
            return "ADJ" if after.tag in ("NOUN", "NAME", OPEN) else "NOUN"
        if before.tag in ("NOUN", "NAME"):
            return "ING" if after.tag in _AFTER_A_VERB - {"PREP", "POSS"} or after.tag in ("ADJ", "NOUN") else "NOUN"
        return "ING"

    @property
    def _can_begin(self) -> bool:
        """Whether a clause is waiting for its verb, or a new one may have begun."""
        return bool(self._waiting) or not self._main or self._fresh == 2

    def _past(self, place: int, before: Token, bases: dict[str, str]) -> tuple[str, str]:
        if "part" not in bases:
            return "VERB", "past"
        if before.tag in ("SUB", "PRON") or (before.tag == "CONJ" and self._last is not None and self._last.form == "past"):
            return "VERB", "past"
        if before.tag == "CONJ" and self._last is not None and self._last.form == "part":
            return ("VERB", "past") if self._after(place).tag in ("DET", "NUM", "PRON") else (self._last.tag, "part")
        if before.tag == "PUNCT" and self._main and self._after(place).tag != "DET":
            return "PART", "part"
        if self._noun and self._after(place).tag == "DET" and self._tokens[place].lower not in _NAMING:
            return "VERB", "past"
        if not (self._can_begin and self._noun) or self._after(place).lower == "by" or self._finite_ahead(place):
            return "PART", "part"
        return "VERB", "past"

    def _finite_ahead(self, place: int, surely: bool = False) -> bool:
        """Whether the clause has a verb further on, so that this one is none. surely: a likely one is not enough."""
        for further in range(place + 1, len(self._tokens)):
            token = self._tokens[further]
            if token.tag in ("SUB", "CONJ") or token.text in (";", ":") or (self._waiting and token.text == ","):
                return False
            if token.tag == "AUX" or (token.tag == OPEN and self._is_finite(further, surely)):
                return True
        return False

    def _is_finite(self, place: int, surely: bool) -> bool:
        before = self._tokens[place - 1]
        if before.tag not in ("NOUN", "NAME", "PRON", "ADV", "PUNCT", OPEN):
            return False
        surely = surely or before.tag == OPEN
        forms = {form: base for base, form in verb_kinds(self._tokens[place].lower)}
        if "past" in forms and "base" not in forms:
            likely = before.tag != "PUNCT" and self._after(place).lower != "by" and not surely
            return "part" not in forms or likely
        return "s" in forms and forms["s"] not in en.AMBIGUOUS_NOUNS and not _plural(before)

    def _is_present(self, place: int, before: Token, base: str, singular: bool) -> bool:
        """Whether a form without an ending, or with -s, is the verb of its clause."""
        if (
            not self._can_begin
            or not self._noun
            or before.tag not in ("NOUN", "NAME", "PRON", "SUB", "PUNCT", "NUM", "CONJ")
        ):
            return False
        if before.tag == "CONJ":
            mixed = singular and self._form == "past"
            mixed = mixed and (base not in en.AMBIGUOUS_NOUNS or self._after(place).tag in ("PREP", "DET", "NUM"))
            return mixed or self._form == ("s" if singular else "base")
        agrees = before.tag in ("SUB", "PUNCT", "NUM") or singular in (
            not _is_many(before),
            not _is_many(self._subject(place)),
        )
        return agrees and (base not in en.AMBIGUOUS_NOUNS or self._is_used_as_verb(place, before))

    def _is_used_as_verb(self, place: int, before: Token) -> bool:
        """Whether a word that is as often a noun stands as a verb does."""
        after = self._after(place)
        named = before.tag in ("PRON", "NAME") or before.lower in _RELATIVE
        accepted = after.tag in _AFTER_A_VERB or (named and after.tag in ("ADJ", "PUNCT", "NOUN", OPEN))
        return accepted and not self._finite_ahead(place, surely=True)

    def _subject(self, place: int) -> Token:
        """The noun that the clause is about, as far as it is known: before it "of" and the like begin what it is of."""
        nouns: list[Token] = []
        start = next((each for each in range(place - 1, -1, -1) if self._tokens[each].tag in _ENDS), -1) + 1
        for token in self._tokens[start:place]:
            if token.tag == "PREP":
                break
            if token.tag in NOMINAL:
                nouns.append(token)
        return nouns[-1] if nouns else self._tokens[place - 1]


def _is_many(token: Token) -> bool:
    return token.lower in _PLURALS or _plural(token)


def _plural(token: Token) -> bool:
    if token.tag == "NAME":
        return len(token.text) > 2 and token.text[:-1].isupper() and token.text.endswith("s")
    return token.tag in ("NOUN", OPEN) and token.lower.endswith("s") and not token.lower.endswith(_NEVER_PLURAL)
