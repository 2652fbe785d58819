"""An answer read for the gold answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.choices import other_choices
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT
from seal_env.tasks.knowledge.grading.places import container_at
from seal_env.tasks.knowledge.grading.spans import Span, alike
from seal_env.tasks.knowledge.grading.text_token import Token

ENDS: Final = frozenset(".!?\n")
"""Marks that end a sentence."""
_STOPS: Final = frozenset({*",;:(/|", "and", "or", "but"})
"""What may begin another answer."""


@dataclass(frozen=True)
class Reading:
    """Tokens of the question, the gold answer and the answer, and where the answer says the gold answer."""

    asked: Sequence[Token]
    meant: Sequence[Token]
    said: Sequence[Token]
    span: Span

    @cached_property
    def end(self) -> int:
        """Where the first sentence ends."""
        return next((at for at in range(1, len(self.said)) if self._ends(at)), len(self.said))

    def _ends(self, at: int) -> bool:
        if self.said[at].key not in ENDS or self.said[at].kind != "mark":
            return False
        after = self.said[at + 1] if at + 1 < len(self.said) else None
        return self.said[at].key != "." or after is None or after.kind != "word" or after.capital

    @cached_property
    def before(self) -> int:
        """Where the word before the gold answer and its articles stands; -1 if none does."""
        at = self.span[0] - 1
        while at >= 0 and self.said[at].key in ARTICLES:
            at -= 1
        return at

    @cached_property
    def given(self) -> frozenset[str]:
        """Keys of the question and the gold answer."""
        return frozenset(token.key for token in (*self.asked, *self.meant))

    @cached_property
    def extra(self) -> frozenset[int]:
        """Places of what is neither the gold answer nor the question's, and says something by itself."""
        return frozenset(at for at, token in enumerate(self.said) if self._is_extra(at, token))

    @cached_property
    def around(self) -> frozenset[int]:
        """Places behind the gold answer that name what it lies in ("Chicago, Illinois") or is ("Harvard University")."""
        end = self.span[-1] + 1
        heads = {head for token in self.asked for head in english.HEADS.get(token.key, ())}
        if end < len(self.said) and self.said[end].key in heads:
            end += 1
        where = any(token.key in english.PLACES for token in self.asked)
        while where and end < len(self.said) and len(self.span) == self.span[-1] - self.span[0] + 1:
            start = end + (self.said[end].key in (",", "in", "("))
            after = container_at([token for token in self.meant if token.key not in LIGHT], self.said, start)
            if not after:
                break
            end = after + (after < len(self.said) and self.said[after].key == ")")
        return frozenset(range(self.span[-1] + 1, end))

    @cached_property
    def set_apart(self) -> frozenset[int]:
        """Places of a name or a number with which the sentence ends, and which is said not to be it: "Paris, not London"."""
        for at in range(self.span[-1] + 2, self.end):
            if self.said[at].written != "not" or self.said[at - 1].key not in (",", ";", "("):
                continue
            first = at + 1
            while first < self.end and self.said[first].key in ARTICLES | english.PREPOSITIONS:
                first += 1
            stops = (place for place in range(first, self.end) if self.said[place].key in _STOPS)
            if first < self.end and self._is_another(self.said[first]) and not any(stops):
                return frozenset(range(at, self.end))
        return frozenset()

    def _is_another(self, token: Token) -> bool:
        """Whether a token is a number or begins a name that is not in the gold answer, or is offered by the question."""
        if token.key in {other.key for other in self.meant}:
            return False
        name = token.capital and token.key not in LIGHT and not token.written.isupper()
        return name or token.kind in ("number", "date") or token.key in self.offered

    @cached_property
    def offered(self) -> frozenset[str]:
        """Words of what the question offers beside the gold answer."""
        return other_choices(self.asked, self.meant)

    def _is_extra(self, at: int, token: Token) -> bool:
        if at in self.set_apart:
            return False
        if token.kind == "mark" or at in self.span or (token.kind == "word" and token.key in LIGHT):
            return False
        if at in self.around or token.key in english.FRAMES or self._is_counted(at, token):
            return False
        if token.key == "ad" and any(near in self.span and self.said[near].kind == "number" for near in (at - 1, at + 1)):
            return False
        if token.key == "year" and at < self.span[0] and self.said[self.span[0]].kind != "word":
            return False
        return not any(alike(token, other) for other in self.asked)

    def _is_counted(self, at: int, token: Token) -> bool:
        """A word for what is counted that says no more than the number: "three people"."""
        counts = [one.key for one in self.asked[:4]]
        return at == self.span[-1] + 1 and token.key in english.COUNTED and ("how", "many") in pairwise(counts)

    def at(self, place: int) -> Token | None:
        """The token at a place; None outside."""
        return self.said[place] if 0 <= place < len(self.said) else None
