"""What rivals the gold answer in an answer that says it: denials, alternatives, lists, other numbers and longer names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT
from seal_env.tasks.knowledge.grading.places import container_at
from seal_env.tasks.knowledge.grading.spans import Span, alike
from seal_env.tasks.knowledge.grading.text_token import Token

MOST_EXTRA: Final = 18
"""Words of a first sentence that are neither the gold answer's nor the question's."""

_ENDS: Final = frozenset(".!?\n")
_SEPARATORS: Final = frozenset({*",;/|\n().:-?!", "and", "or"})
_FAR: Final = 8
_ITEM: Final = 3
_CUT_OFF: Final = 12
"""Behind a sentence of so many words and marks, a sentence without an end was cut off by the limit on tokens."""
_BESIDE: Final = ARTICLES | frozenset(["in", "at", "by", "of", "also", "even"])
_MEASURED: Final = frozenset(["when", "where", "how", "year", "date"])


@dataclass(frozen=True)
class Reading:
    """An answer read for the gold answer: tokens of the question, the gold answer and the answer, and where it says it."""

    asked: Sequence[Token]
    meant: Sequence[Token]
    said: Sequence[Token]
    span: Span

    @cached_property
    def end(self) -> int:
        """Where the first sentence ends."""
        return next((at for at in range(1, len(self.said)) if self._ends(at)), len(self.said))

    def _ends(self, at: int) -> bool:
        if self.said[at].key not in _ENDS or self.said[at].kind != "mark":
            return False
        after = self.said[at + 1] if at + 1 < len(self.said) else None
        return self.said[at].key != "." or after is None or after.kind != "word" or after.capital

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

    def _is_extra(self, at: int, token: Token) -> bool:
        if token.kind == "mark" or at in self.span or (token.kind == "word" and token.key in LIGHT):
            return False
        if at in self.around or self._is_counted(at, token):
            return False
        return not any(alike(token, other) for other in self.asked)

    def _is_counted(self, at: int, token: Token) -> bool:
        """A word for what is counted that says no more than the number: "three people"."""
        counts = [one.key for one in self.asked[:4]]
        return at == self.span[-1] + 1 and token.key in english.COUNTED and ("how", "many") in pairwise(counts)

    def at(self, place: int) -> Token | None:
        """The token at a place; None outside."""
        return self.said[place] if 0 <= place < len(self.said) else None


def is_rivalled(reading: Reading) -> bool:
    """Whether the answer names something else besides, or takes back what it says."""
    return (
        reading.span[0] > reading.end
        or sum(at < reading.end for at in reading.extra) > MOST_EXTRA
        or _is_longer_name(reading)
        or _is_changed(reading)
        or _is_somebody_else(reading)
        or _other_number(reading)
        or _is_denied(reading)
        or _is_chosen(reading)
        or _is_listed(reading)
        or _is_answered_again(reading)
    )


def _is_longer_name(reading: Reading) -> bool:
    """The gold answer is part of a longer name, or all there is but for other words: "New York", "Smith's brother"."""
    said, low, high = reading.said, reading.span[0], reading.span[-1]
    behind = max(reading.around, default=high) + 1
    before, after = reading.at(low - 1), reading.at(behind)
    if said[low].glued or (after and after.glued and behind in reading.extra):
        return True
    whose = any(token.key == "whose" for token in reading.asked)
    if said[high].possessive and not whose and not any(token.possessive for token in reading.meant):
        return True
    name = any(said[at].capital for at in reading.span)
    if name and after and behind in reading.extra and after.kind == "word" and after.capital:
        return True
    first_name = bool(name and before and low - 1 in reading.extra and before.kind == "word" and before.capital)
    if first_name and (high + 1 in reading.around or not _may_have_first_name(reading)):
        return True
    if first_name and reading.extra == {low - 1}:
        return False
    bare = _SEPARATORS | ARTICLES | {"of"}
    return bool(reading.extra) and all(
        at in reading.span or at in reading.extra or token.kind == "mark" or token.key in bare
        for at, token in enumerate(said)
    )


def _may_have_first_name(reading: Reading) -> bool:
    low = reading.span[0]
    restated = {at for at, token in enumerate(reading.said) if token.key not in LIGHT and token.kind != "mark"}
    restated -= reading.extra | set(reading.span)
    place = any(token.key in english.PLACES for token in reading.asked)
    names = [token for token in reading.meant if token.kind != "mark" and token.key not in LIGHT]
    return len(names) == len(reading.span) and low - 2 not in reading.extra and (len(restated) >= 2 or not place)


def _is_changed(reading: Reading) -> bool:
    """A word before the gold answer makes something else of it: "before 1852", "West Virginia"."""
    at = reading.span[0] - 1
    while at >= 0 and reading.said[at].key in ARTICLES:
        at -= 1
    if at < 0 or reading.said[at].key in reading.given:
        return False
    if {reading.said[at].key, reading.meant[0].key} == {"from", "to"}:
        return True
    if at and (reading.said[at - 1].key, reading.said[at].key) in english.LIMITS:
        return True
    measured = any(token.key in _MEASURED for token in reading.asked) or any(token.kind != "word" for token in reading.meant)
    return reading.said[at].key in english.CHANGERS or (measured and reading.said[at].key in english.COMPARERS)


def _is_somebody_else(reading: Reading) -> bool:
    """Another person by a title or a pronoun alone ("Mrs. Brown"), or one who suffers what the other does ("beaten by")."""
    meant, said = ({token.key for token in tokens} for tokens in (reading.meant, reading.said[: reading.end]))
    if any(meant & own and said & other and not said & own for own, other in english.COUNTERPARTS):
        return True
    names = [at for at, token in enumerate(reading.meant) if token.capital]
    if len(names) < 2:
        return False
    spoken = reading.said[reading.span[0] : reading.span[-1]]
    return _is_passive(reading.meant[names[0] : names[-1]]) != _is_passive(spoken)


def _is_passive(found: Sequence[Token]) -> bool:
    keys = {token.key for token in found}
    return "by" in keys and bool(keys & english.PASSIVE)


def _other_number(reading: Reading) -> bool:
    """The gold answer is a number, and the first sentence has another one of its kind."""
    wanted = [reading.said[at] for at in reading.span]
    if any(token.kind == "word" for token in wanted):
        wanted = wanted[:1] if wanted[0].kind != "word" else []
    kinds = {_kind(token) for token in wanted}
    return any(
        token.kind in ("number", "date") and at in reading.extra and token.key not in reading.given and _kind(token) in kinds
        for at, token in enumerate(reading.said[: reading.end])
    )


def _kind(token: Token) -> str:
    if token.kind == "date" or (token.key.isdecimal() and len(token.key) == 4) or token.key.endswith("s"):
        return "date"
    if token.key.endswith("th"):
        return "place"
    return "share" if token.key.endswith("%") else "money" if " " in token.key else "count"


def _is_denied(reading: Reading) -> bool:
    """A denial stands before the gold answer, or behind it and means it, or begins a later sentence."""
    said, high = reading.said, reading.span[-1]
    ends = [-1, *(at for at, token in enumerate(said) if token.kind == "mark" and token.key in _ENDS)]
    for at, token in enumerate(said):
        after = reading.at(at + 1)
        pair = (token.key, after.key if after else "") in english.DENIAL_PAIRS
        if (
            token.kind != "word"
            or token.key in reading.given
            or not (pair or token.key in english.DENIALS | english.FALSITY or _is_hedge(reading, at))
        ):
            continue
        if at < high:
            return True
        if at >= reading.end:
            if at - max(end for end in ends if end < at) <= 3:
                return True
        elif not _is_aside(reading, at):
            return True
    return False


def _is_hedge(reading: Reading, at: int) -> bool:
    """Whether a word leaves open what stands behind it: "could", "may" where it is no month, "if" right before it."""
    token, low = reading.said[at], reading.span[0]
    if token.key in english.CONDITIONS:
        return low - 5 <= at < low
    return token.key in english.HEDGES and at < low and not (token.capital and token.key == "may")


def _is_aside(reading: Reading, at: int) -> bool:
    """A denial behind the gold answer leaves it alone: "the guild, not the navy"."""
    said, high = reading.said, reading.span[-1]
    between, following = said[high + 1 : at], said[at + 1 : at + 4]
    clause = any(token.key in english.RELATIVES or (token.kind == "mark" and token.key in ",;(") for token in between)
    if clause and at - high > _FAR:
        return True
    if said[at].key in english.FALSITY | {"no"} or not clause:
        return said[at].key == "but" and not any(at < extra < reading.end for extra in reading.extra)
    if any(token.key in english.VERDICTS for token in following):
        return False
    if said[at].key == "but":
        return not any(at < extra < reading.end for extra in reading.extra)
    return any(token.kind != "mark" and token.key not in LIGHT for token in following)


def _is_chosen(reading: Reading) -> bool:
    """An alternative stands beside the gold answer."""
    low, high = reading.span[0], reading.span[-1]
    meant = {token.key for token in reading.meant}
    for at, token in enumerate(reading.said[: reading.end]):
        pair = (token.key, reading.said[at + 1].key if at + 1 < len(reading.said) else "")
        if (token.key not in english.CHOICES and pair not in english.ADDITIONS) or token.key in meant:
            continue
        if pair[0] == "also" and at < low and not any(place in reading.extra for place in range(at)):
            continue  # of the question's own words
        if high < at <= high + 6:
            return True
        if low - 4 <= at < low and all(
            other.kind == "mark" or other.key in LIGHT or place in reading.extra
            for place, other in enumerate(reading.said[at + 1 : low], at + 1)
        ):
            return True
    return False


def _is_answered_again(reading: Reading) -> bool:
    """A later sentence says no more than another answer: "It was Paris. It was Kiel"."""
    asked = {token.key for token in reading.asked}
    counted = all(reading.said[at].kind != "word" or reading.said[at].key in asked for at in reading.span)
    start = reading.end
    for at in range(reading.end, len(reading.said) + 1):
        if at < len(reading.said) and not (reading.said[at].kind == "mark" and reading.said[at].key in _ENDS):
            continue
        cut_off = at == len(reading.said) and reading.end > _CUT_OFF
        extra = [place for place in range(start, at) if place in reading.extra]
        rival = not counted or any(reading.said[place].kind != "word" for place in extra)
        if 1 <= len(extra) <= _ITEM and rival and not cut_off:
            return True
        start = at + 1
    return False


def _is_listed(reading: Reading) -> bool:
    """The gold answer stands beside a bare item: "Paris, London", "recognition and legitimacy"."""
    low, high = reading.span[0], reading.span[-1]
    if _is_separator(reading, high + 1) and reading.said[high + 1].key != ")":
        start = high + 1
        while _is_separator(reading, start):
            start += 1
        stop = start
        while stop < reading.end and not _is_separator(reading, stop):
            stop += 1
        if _is_item(reading, range(start, stop), reading.said[start - 1].key):
            return True
    stop = low
    while stop > 0 and reading.said[stop - 1].key in _BESIDE:
        stop -= 1
    if not _is_separator(reading, stop - 1) or reading.said[stop - 1].key == ":":
        return False
    separator = reading.said[stop - 1].key
    while _is_separator(reading, stop - 1):
        stop -= 1
    start = stop
    while start > 0 and not _is_separator(reading, start - 1):
        start -= 1
    return _is_item(reading, range(stop - 1, start - 1, -1), separator)


def _is_separator(reading: Reading, at: int) -> bool:
    return 0 <= at < reading.end and reading.said[at].key in _SEPARATORS


def _is_item(reading: Reading, places: range, separator: str) -> bool:
    """One to three extra words where the gold answer could stand; behind it, with only the question's words after them.

    places: From the gold answer's side to the other.
    """
    keys = {at: reading.said[at].key for at in places}
    if not keys:
        return False
    first, ahead = min(places), reading.at(reading.span[0] - 1)
    before = ahead.key if ahead else ""
    remark = separator != "and" and before not in ARTICLES and keys[first] in ARTICLES
    if remark and (places.step > 0 or all(at in reading.extra for at in places if at != first)):
        return False
    dated = any(reading.said[at].kind in ("number", "date") for at in places)
    if keys[first] in english.PREPOSITIONS and keys[first] != before and (places.step > 0 or dated):
        return False
    rest = [at for at in places if keys[at] not in ARTICLES | {"also", before} - {""}]
    if places.step > 0 and rest:
        head = reading.said[rest[0]]
        if any(key in english.RELATIVES for key in keys.values()) or (_is_verb(head.key) and not head.capital):
            return False
    run = next((index for index, at in enumerate(rest) if at not in reading.extra), len(rest))
    if run == 1 and reading.said[rest[0]].kind == "date" and {keys.get(rest[0] - 1), before} == {"on", "by"}:
        return False
    return 1 <= run <= _ITEM


def _is_verb(word: str) -> bool:
    return word.endswith(("ed", "ing"))
