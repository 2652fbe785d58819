"""Dates in whatever order: days with their month and year, months with a year, days of a month."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.text_token import Token, rewrite

_MONTHS: Final = {
    name.casefold(): month
    for names in (calendar.month_name, calendar.month_abbr, ["", *[""] * 8, "sept"])
    for month, name in enumerate(names)
    if name
}
_DAY: Final = regex.compile(r"(?:[12]?\d|3[01])(?:th)?")
_YEAR: Final = regex.compile(r"\d{3,4}")
_ISO: Final = regex.compile(r"(\d{4})-(0\d|1[0-2])-([0-2]\d|3[01])")
_SLASHED: Final = regex.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
_MONTHS_OF_A_YEAR: Final = 12
_WEEKDAYS: Final = frozenset(day.casefold() for day in calendar.day_name)


def read_dates(found: list[Token]) -> list[Token]:
    """Days with their month and year, in whatever order, as 1525-05-15; months with a year as 1525-05; days as 05-15."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [each.key for each in tokens[at : at + 6]]
        if iso := _ISO.fullmatch(keys[0]):
            return Token(iso[0], "date"), at + 1
        if slashed := _SLASHED.fullmatch(keys[0]):
            return _in_order(int(slashed[1]), int(slashed[3]), slashed[4]), at + 1
        if keys[0] in _WEEKDAYS and len(tokens) > at + 1:
            after = at + 1 + (tokens[at + 1].key == ",")
            date, end = read(tokens, after) if after < len(tokens) else (None, at)
            return (date, end) if date is not None and date.kind == "date" else (None, at)
        kept = [index for index, key in enumerate(keys) if key not in ("of", ",", "the") or index == 0]
        words = [keys[index] for index in kept] + ["", "", ""]
        for day, month, year in ((0, 1, 2), (1, 0, 2), (0, 1, None), (1, 0, None), (None, 0, 1)):
            if words[month] not in _MONTHS or not _fits(_DAY, words, day) or not _fits(_YEAR, words, year):
                continue
            last = max(part for part in (day, month, year) if part is not None)
            parts = [f"{_MONTHS[words[month]]:02d}"]
            parts = [*([words[year].zfill(4)] if year is not None else []), *parts]
            parts += [words[day].removesuffix("th").zfill(2)] if day is not None else []
            return Token("-".join(parts), "date"), at + kept[last] + 1
        return None, at

    return rewrite(found, read)


def _in_order(one: int, other: int, year: str) -> Token | None:
    """A date in digits, if only one of its numbers can be the month."""
    if (one > _MONTHS_OF_A_YEAR) == (other > _MONTHS_OF_A_YEAR):
        return None
    return Token(f"{year}-{min(one, other):02d}-{max(one, other):02d}", "date")


def _fits(pattern: regex.Pattern[str], words: Sequence[str], index: int | None) -> bool:
    return index is None or bool(pattern.fullmatch(words[index]))
