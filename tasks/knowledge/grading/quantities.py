"""Tokens that belong together, as one: numbers in words, amounts of money, shares, dates, roman numerals and eras."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from functools import cache
from typing import Final

import regex
from icu4py.messageformat import MessageFormat

from seal_env.tasks.knowledge.grading.number_words import read_number
from seal_env.tasks.knowledge.grading.text_token import Token

_DIGITS: Final = 4000
"""More than a prediction has."""
_PLAIN: Final = regex.compile(r"\d+(?:\.\d+)?")
_MAGNITUDES: Final = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
_MONTHS: Final = {
    name.casefold(): month
    for names in (calendar.month_name, calendar.month_abbr, ["", *[""] * 8, "sept"])
    for month, name in enumerate(names)
    if name
}
_DAY: Final = regex.compile(r"[12]?\d|3[01]")
_YEAR: Final = regex.compile(r"\d{3,4}")
_ISO: Final = regex.compile(r"(\d{4})-(0\d|1[0-2])-([0-2]\d|3[01])")
_PARTS: Final = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "thirds": 3,
    "3": 3,
    "quarter": 4,
    "quarters": 4,
    "fourths": 4,
    "fifths": 5,
}
_ROMAN: Final = regex.compile(r"(x{0,3})(ix|iv|v?i{0,3})")
_ROMAN_ONES: Final = {
    numeral: number for number, numeral in enumerate(["-", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"])
}
_ERAS: Final = {"bce": "bc", "ce": "ad"}
_COUNTS: Final = frozenset(["dozen", "hundred", "thousand", "million", "billion", "trillion"])
_UNITS: Final = (
    "kilometer meter centimeter millimeter mile yard inch hectare acre kilogram gram ton pound liter milliliter celsius "
    "fahrenheit kilowatt megawatt volt hertz kilohertz megahertz mile-per-hour kilometer-per-hour square-kilometer "
    "square-mile"
)


def combine(found: list[Token]) -> list[Token]:
    """The tokens, those that belong together as one."""
    with localcontext(prec=_DIGITS):
        for step in (_roman, _numbers, _shares, _money, _units, _dates):
            found = step(found)
    return found


def _rewrite(found: Sequence[Token], at_each: Callable[[Sequence[Token], int], tuple[Token | None, int]]) -> list[Token]:
    """at_each: (tokens, place) -> what stands there instead, and the place after it; None leaves the token."""
    result, at = list[Token](), 0
    while at < len(found):
        token, end = at_each(found, at)
        result.append(found[at] if token is None else token)
        at = at + 1 if token is None else end
    return result


def _roman(found: list[Token]) -> list[Token]:
    """A roman numeral behind a word with a capital in digits: "War 2" for "War II"."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token = tokens[at]
        if token.kind != "word" or not token.capital or at == 0 or not tokens[at - 1].capital:
            return None, at
        numeral = _ROMAN.fullmatch(token.key)
        value = 10 * len(numeral[1]) + _ROMAN_ONES.get(numeral[2], 0) if numeral else 0
        return (token._replace(key=str(value), kind="number"), at + 1) if value else (None, at)

    return _rewrite(found, read)


def _numbers(found: list[Token]) -> list[Token]:
    """Numbers in words, or in digits and words, in digits."""
    readable = [token.kind == "word" or (token.kind == "number" and bool(_PLAIN.fullmatch(token.key))) for token in found]
    keys = [_ERAS.get(token.key, token.key) if known else "," for token, known in zip(found, readable, strict=True)]

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token, start = tokens[at], at + (keys[at] in ("a", "an", "half"))
        start += keys[at] == "half" and keys[start : start + 1] == ["a"]
        if start > at and (start == len(keys) or keys[start] not in _COUNTS):
            start = at
        value, end = read_number(keys, start)
        if value is None:
            return (token._replace(key=keys[at]), at + 1) if token.kind == "word" else (None, at)
        if end == at + 1 and token.kind == "number":
            return None, at
        return Token(_written(value / 2 if keys[at] == "half" else value), "number", token.glued), end

    return _rewrite(found, read)


def _written(value: Decimal) -> str:
    return f"{value.normalize():f}" if value == value.to_integral_value() else f"{value:f}"


def _shares(found: list[Token]) -> list[Token]:
    """Minus signs in words; halves, thirds, quarters and whole per cents as fractions."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else Token("", "mark")
        if token.kind == "word" and token.key in ("minus", "negative") and after.kind == "number":
            return after._replace(key=f"-{after.key}"), at + 2
        if token.kind == "number" and _PLAIN.fullmatch(token.key):
            if after.key == "percent" or [each.key for each in tokens[at + 1 : at + 3]] == ["per", "cent"]:
                return Token(f"{token.key}%", "number", token.glued), at + (2 if after.key == "percent" else 3)
            if after.kind == "word" and after.key in _PARTS and after.key != "half" and token.key.isdecimal():
                return Token(_fraction(int(token.key), _PARTS[after.key]), "number", token.glued), at + 2
            if token.key == "1" and after.key == "half":
                return Token("50%", "number", token.glued), at + 2
        if token.kind == "word" and token.key in ("half", "quarter") and not token.glued:
            return Token(_fraction(1, _PARTS[token.key]), "number"), at + 1
        if token.kind == "number" and token.key == "1/2":
            return Token("50%", "number"), at + 1
        return None, at

    return _rewrite(found, read)


def _fraction(part: int, whole: int) -> str:
    share = Decimal(100 * part) / whole
    return f"{share:f}%" if share == share.to_integral_value() else f"{part}/{whole}"


def _money(found: list[Token]) -> list[Token]:
    """Amounts: "$1.5M" and "1.5 million dollars" as one number with its currency."""
    currencies = _currencies()

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [each.key for each in tokens[at : at + 3]] + ["", "", ""]
        kinds = [each.kind for each in tokens[at : at + 3]] + ["mark"] * 3
        before = currencies.get(keys[0]) if kinds[0] == "word" else None
        if before and kinds[1] == "number" and _PLAIN.fullmatch(keys[1]):
            scale = _MAGNITUDES.get(keys[2], 1)
            return Token(_amount(keys[1], scale, before), "number"), at + (2 if scale == 1 else 3)
        after = currencies.get(keys[1]) if kinds[1] == "word" else None
        if kinds[0] == "number" and after and _PLAIN.fullmatch(keys[0]):
            return Token(_amount(keys[0], 1, after), "number"), at + 2
        return None, at

    return _rewrite(found, read)


def _amount(number: str, scale: int, currency: str) -> str:
    return f"{_written((Decimal(number) * scale).normalize())} {currency}"


@cache
def _currencies() -> dict[str, str]:
    """Names of currencies, in the singular."""
    names = "dollar euro pound yen rupee won ruble franc peso krona krone mark shilling lira real yuan guilder crown cent"
    return {name: one for one in names.split() for name in (one, f"{one}s")} | {"rouble": "ruble", "roubles": "ruble"}


def _units(found: list[Token]) -> list[Token]:
    """Units of measure behind a number, by their American name."""
    names = _unit_names()

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token = tokens[at]
        if at and tokens[at - 1].kind == "number" and token.kind == "word" and token.key in names:
            return token._replace(key=names[token.key], capital=False), at + 1
        return None, at

    return _rewrite(found, read)


@cache
def _unit_names() -> dict[str, str]:
    """What ICU calls the units, in words and short, in American and in British English."""
    found = dict[str, str]()
    for unit in _UNITS.split():
        for place in ("en", "en_GB"):
            for width in ("full-name", "short"):
                form = MessageFormat(f"{{n, number, ::unit/{unit} unit-width-{width}}}", place)
                for number in (1, 2):
                    name = str(form.format({"n": number})).removeprefix(str(number)).strip().casefold()
                    if name.isalpha():
                        found.setdefault(name, unit)
    return found


def _dates(found: list[Token]) -> list[Token]:
    """Days with their month and year, in whatever order, as 1525-05-15; months with a year as 1525-05; days as 05-15."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [each.key for each in tokens[at : at + 6]]
        if iso := _ISO.fullmatch(keys[0]):
            return Token(iso[0], "date"), at + 1
        kept = [index for index, key in enumerate(keys) if key not in ("of", ",", "the") or index == 0]
        words = [keys[index] for index in kept] + ["", "", ""]
        for day, month, year in ((0, 1, 2), (1, 0, 2), (0, 1, None), (1, 0, None), (None, 0, 1)):
            if words[month] not in _MONTHS or not _fits(_DAY, words, day) or not _fits(_YEAR, words, year):
                continue
            last = max(part for part in (day, month, year) if part is not None)
            parts = [f"{_MONTHS[words[month]]:02d}"]
            parts = [*([words[year].zfill(4)] if year is not None else []), *parts]
            parts += [words[day].zfill(2)] if day is not None else []
            return Token("-".join(parts), "date"), at + kept[last] + 1
        return None, at

    return _rewrite(found, read)


def _fits(pattern: regex.Pattern[str], words: Sequence[str], index: int | None) -> bool:
    return index is None or bool(pattern.fullmatch(words[index]))
