"""A simple clause: subject, verb, the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seal_env.agents.grammar.noun_phrases import is_plural
from seal_env.agents.grammar.sentences import Token, Tokens, written


@dataclass(frozen=True)
class Clause:
    """A statement. Its order is plain: subject, adverbs, auxiliaries, verb, rest, and then what stood before the subject.

    verb: the main verb; be, have and do too, where nothing follows them. reason: "because ...", where it is given. opening:
    "in 1830", where the clause began with it.
    """

    subject: Tokens
    adverbs: Tokens
    auxiliaries: Tokens
    verb: Token
    rest: Tokens
    reason: Tokens = ()
    opening: Tokens = ()

    @property
    def is_copula(self) -> bool:
        """Whether the verb is a form of be, which says what the subject is."""
        return self.verb.base == "be"

    @property
    def is_past(self) -> bool:
        """Whether the first verb is in the past."""
        first = self.auxiliaries[0] if self.auxiliaries else self.verb
        return first.lower in ("was", "were", "had", "did", "could", "would") or first.form == "past"

    @property
    def is_passive(self) -> bool:
        """Whether the subject is what something is done to."""
        return self.verb.form == "part" and any(token.base == "be" for token in self.auxiliaries)

    @property
    def tokens(self) -> Tokens:
        """The whole clause."""
        return (*self.subject, *self.adverbs, *self.auxiliaries, self.verb, *self.rest, *self.opening)

    @property
    def text(self) -> str:
        """As it would be said, without a capital letter or a full stop of its own."""
        return written(self.tokens)


def in_mid_sentence(tokens: Tokens, names: bool = False) -> Tokens:
    """With a small first letter, unless it is that of a name. Spaced as after another word."""
    if not tokens:
        return tokens
    first = tokens[0]
    keep = first.tag == "NAME" or first.text == "I" or (first.text.isupper() and len(first.text) > 1) or names
    text = first.text if keep else f"{first.text[:1].lower()}{first.text[1:]}"
    return (replace(first, text=text, spaced=True), *tokens[1:])


def be_of(subject: Tokens, past: bool) -> Token:
    """The form of be that agrees with a subject."""
    many = is_plural(subject)
    text = ("were" if many else "was") if past else ("are" if many else "is")
    return Token(text, True, "AUX", "be")
