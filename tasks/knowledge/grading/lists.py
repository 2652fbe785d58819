"""Answers that list: alternatives, items beside the gold answer, and further answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT
from seal_env.tasks.knowledge.grading.reading import ENDS, Reading
from seal_env.tasks.knowledge.grading.text_token import Token

SEPARATORS: Final = frozenset({*",;/|\n().:-?!", "and", "or"})
"""What stands between the items of a list."""
_ITEM: Final = 3
_CUT_OFF: Final = 12
"""Behind a sentence of so many words and marks, a sentence without an end was cut off by the limit on tokens."""
_OWNED: Final = frozenset(["his", "her", "their", "its", "my", "our", "mr", "mrs", "ms", "dr"])
_BESIDE: Final = ARTICLES | frozenset(["in", "at", "by", "of", "also", "even"])


def is_chosen(reading: Reading) -> bool:
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


def is_answered_again(reading: Reading) -> bool:
    """A later sentence says no more than another answer: "It was Paris. It was Kiel"."""
    asked = {token.key for token in reading.asked}
    counted = all(reading.said[at].kind != "word" or reading.said[at].key in asked for at in reading.span)
    start = reading.end
    for at in range(reading.end, len(reading.said) + 1):
        if at < len(reading.said) and not (reading.said[at].kind == "mark" and reading.said[at].key in ENDS):
            continue
        cut_off = at == len(reading.said) and reading.end > _CUT_OFF
        extra = [place for place in range(start, at) if place in reading.extra]
        bare = not any(reading.said[place].key in LIGHT for place in range(start, at))
        rival = bare or not counted or any(reading.said[place].kind != "word" for place in extra)
        if 1 <= len(extra) <= _ITEM and rival and not cut_off:
            return True
        start = at + 1
    return False


def is_listed(reading: Reading) -> bool:
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
    return 0 <= at < reading.end and reading.said[at].key in SEPARATORS


def _is_item(reading: Reading, places: range, separator: str) -> bool:
    """One to three extra words where the gold answer could stand; behind it, with only the question's words after them.

    places: From the gold answer's side to the other.
    """
    keys = {at: reading.said[at].key for at in places}
    if not keys:
        return False
    first, ahead = min(places), reading.at(reading.span[0] - 1)
    before = ahead.key if ahead else ""
    if places.step > 0 and (clause := _same_clause(reading, first)):
        return clause in reading.extra
    remark = separator != "and" and before not in ARTICLES and keys[first] in ARTICLES | _OWNED
    if remark and (places.step > 0 or all(at in reading.extra for at in places if at != first)):
        return False
    dated = any(reading.said[at].kind in ("number", "date") for at in places)
    if keys[first] in english.PREPOSITIONS and keys[first] != before and (places.step > 0 or dated):
        return False
    named_too = separator == "and" and any(reading.said[at].capital and at in reading.extra for at in places)
    owned = named_too or any(token.key == "who" for token in reading.asked)
    light = ARTICLES | (_OWNED if owned else set())
    rest = [at for at in places if keys[at] not in light | {"also", before} - {""}]
    if places.step > 0 and rest:
        head = reading.said[rest[0]]
        if any(key in english.RELATIVES for key in keys.values()) or (is_verb(head.key) and not head.capital):
            return False
    run = next((index for index, at in enumerate(rest) if at not in reading.extra), len(rest))
    named = all(reading.said[at].kind == "word" for at in reading.span)
    if named and run == 1 and reading.said[rest[0]].kind == "date" and keys.get(rest[0] - 1) in ("on", "in"):
        return False
    return 1 <= run <= _ITEM


def _same_clause(reading: Reading, at: int) -> int:
    """Where another answer begins that is put as the gold answer is: "it was Paris and it was Kiel"; 0 if it is not."""
    low = reading.before + 1
    size = next((size for size in (2, 1) if low >= size and _opens(reading.said[low - size : low])), 0)
    if not size or [token.key for token in reading.said[at : at + size]] != [
        token.key for token in reading.said[low - size : low]
    ]:
        return 0
    at += size
    while at < reading.end and reading.said[at].key in ARTICLES:
        at += 1
    return at


def _opens(found: Sequence[Token]) -> bool:
    """Words before an answer: "it was", "in"."""
    keys = [token.key for token in found]
    return keys[-1] in (english.PREPOSITIONS if len(keys) == 1 else english.PASSIVE)


def is_verb(word: str) -> bool:
    """Whether it may be a participle."""
    return word.endswith(("ed", "ing"))
