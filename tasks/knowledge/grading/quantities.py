"""Tokens that belong together, as one: numbers in words, decades, amounts of money, shares, units, dates and eras."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import cache
from typing import Final

import regex
from icu4py.messageformat import MessageFormat

from seal_env.tasks.knowledge.grading.number_words import DECADES, is_ordinal, read_number
from seal_env.tasks.knowledge.grading.text_token import Token, rewrite

_DIGITS: Final = 4000
"""More than a prediction has."""
_PLAIN: Final = regex.compile(r"\d+(?:\.\d+)?")
_BELOW_ONE: Final = regex.compile(r"[+-]?0?\.\d+")
"""No version begins with zero, so that zeros at its end say nothing."""
_MAGNITUDES: Final = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
_MONTHS: Final = {
    name.casefold(): month
    for names in (calendar.month_name, calendar.month_abbr, ["", *[""] * 8, "sept"])
    for month, name in enumerate(names)
    if name
}
_DAY: Final = regex.compile(r"(?:[12]?\d|3[01])(?:th)?")
_YEAR: Final = regex.compile(r"\d{3,4}")
_CENTURIES: Final = (10, 20)
_TENS: Final = 10
_HUNDRED: Final = 100
_CENTURY: Final = regex.compile("1[0-9]|20")
_SHORT_DECADE: Final = regex.compile("[2-9]0s")
_WHOSE: Final = frozenset(["his", "her", "their", "my", "your", "our", "its"])
_ISO: Final = regex.compile(r"(\d{4})-(0\d|1[0-2])-([0-2]\d|3[01])")
_PARTS: Final = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "thirds": 3,
    "quarter": 4,
    "quarters": 4,
    "fourths": 4,
    "fifths": 5,
    "sixths": 6,
    "eighths": 8,
    "tenths": 10,
    "hundredths": 100,
}
_PART: Final = {f"{whole}th": whole for whole in (3, 4, 5, 6, 8, 10, 100)}
"""What one of the parts is called: the key of "fifth"."""
_ROMAN: Final = regex.compile(r"(x{0,3})(ix|iv|v?i{0,3})")
_ROMAN_ONES: Final = {
    numeral: number for number, numeral in enumerate(["-", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"])
}
_ERAS: Final = {"bce": "bc", "ce": "ad"}
_COUNTS: Final = frozenset(["dozen", "hundred", "thousand", "million", "billion", "trillion"])
_UNITS: Final = (
    "kilometer meter centimeter millimeter mile yard inch hectare acre kilogram gram ton pound liter milliliter celsius "
    "fahrenheit kilowatt megawatt milliwatt gigawatt watt volt hertz kilohertz megahertz gigahertz mile-per-hour "
    "kilometer-per-hour square-kilometer square-mile bit byte kilobit kilobyte megabit megabyte gigabit gigabyte terabit "
    "terabyte hour minute joule kilojoule ampere milliampere"
)
_SHORT: Final = 3
_MILLI: Final = regex.compile("m[A-Z][a-z]?|[kKMGTP]i?Bps")
"""Units in which a large letter is another unit than a small one: "mV" and "MV", "MBps" and "Mbps"."""


def combine(found: list[Token]) -> list[Token]:
    """The tokens, those that belong together as one."""
    with localcontext(prec=_DIGITS):
        for step in (_roman, _numbers, _decades, _shares, _money, _units, _dates):
            found = step(found)
    return found


def _roman(found: list[Token]) -> list[Token]:
    """A roman numeral behind a word with a capital in digits: "War 2" for "War II"."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token = tokens[at]
        if token.kind != "word" or not token.capital or at == 0 or not tokens[at - 1].capital:
            return None, at
        numeral = _ROMAN.fullmatch(token.key)
        value = 10 * len(numeral[1]) + _ROMAN_ONES.get(numeral[2], 0) if numeral else 0
        return (token._replace(key=str(value), kind="number"), at + 1) if value else (None, at)

    return rewrite(found, read)


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
        if token.kind == "word" and not is_ordinal(keys[end - 1]):
            value, end = _with_its_year(keys, value, end)
        written = _written(value / 2 if keys[at] == "half" else value)
        return Token(f"{written}th" if is_ordinal(keys[end - 1]) else written, "number", token.glued), end

    return rewrite(found, read)


def _with_its_year(keys: Sequence[str], century: Decimal, at: int) -> tuple[Decimal, int]:
    """A year in words as one number: "nineteen eighty-four"."""
    if not _CENTURIES[0] <= century <= _CENTURIES[1] or keys[at : at + 1] == ["and"]:
        return century, at
    year, end = read_number(keys, at)
    if year is None or not _TENS <= year < _HUNDRED or keys[at][0].isdecimal() or is_ordinal(keys[end - 1]):
        return century, at
    return 100 * century + year, end


def _decades(found: list[Token]) -> list[Token]:
    """The "nineties" and the "90s" as the 1990s, unless they are somebody's age; "eighteen nineties" as the 1890s."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token, before = tokens[at], tokens[at - 1].key if at else ""
        after = tokens[at + 1] if at + 1 < len(tokens) else Token("", "mark")
        if _CENTURY.fullmatch(token.key) and after.key in DECADES:
            return Token(f"{token.key}{DECADES[after.key]}s", "number", token.glued), at + 2
        short = f"{DECADES[token.key]}s" if token.key in DECADES else token.key
        if not _SHORT_DECADE.fullmatch(short):
            return None, at
        return Token(short if before in _WHOSE else f"19{short}", "number", token.glued), at + 1

    return rewrite(found, read)


def _written(value: Decimal) -> str:
    return f"{value.normalize():f}" if value == value.to_integral_value() else f"{value:f}"


def _shares(found: list[Token]) -> list[Token]:
    """Minus signs in words; halves, thirds, quarters and whole per cents as fractions."""
    return rewrite(rewrite(found, _negative), _share)


def _negative(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    after = tokens[at + 1] if at + 1 < len(tokens) else Token("", "mark")
    if tokens[at].kind == "word" and tokens[at].key in ("minus", "negative") and after.kind == "number":
        return after._replace(key=f"-{after.key}"), at + 2
    return None, at


def _share(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else Token("", "mark")
    if token.key in ("1", "a") and after.key in _PART and (token.key == "1" or _is_of(tokens, at + 2)):
        return Token(_fraction(1, _PART[after.key]), "number", token.glued), at + 2
    if token.kind == "number" and _PLAIN.fullmatch(token.key):
        if after.key == "percent" or [each.key for each in tokens[at + 1 : at + 3]] == ["per", "cent"]:
            return Token(f"{_plain(token.key)}%", "number", token.glued), at + (2 if after.key == "percent" else 3)
        if after.kind == "word" and after.key in _PARTS and after.key != "half" and token.key.isdecimal():
            return Token(_fraction(int(token.key), _PARTS[after.key]), "number", token.glued), at + 2
        if token.key == "1" and after.key == "half":
            return Token("50%", "number", token.glued), at + 2
    if token.kind == "word" and token.key in ("half", "quarter") and not token.glued:
        return Token(_fraction(1, _PARTS[token.key]), "number"), at + 1
    if token.kind == "number" and token.key == "1/2":
        return Token("50%", "number"), at + 1
    if token.kind == "number" and _BELOW_ONE.fullmatch(token.key):
        return token._replace(key=_plain(token.key)), at + 1
    return None, at


def _is_of(tokens: Sequence[Token], at: int) -> bool:
    """A part of something stands there, or nothing: "a third of them"."""
    return at >= len(tokens) or tokens[at].kind == "mark" or tokens[at].key == "of"


def _plain(number: str) -> str:
    """Without zeros at the end of what stands behind the point: "0.5" for "0.50"."""
    return f"{Decimal(number).normalize():f}"


def _fraction(part: int, whole: int) -> str:
    share = Decimal(100 * part) / whole
    return f"{share:f}%" if share == share.to_integral_value() else f"{part}/{whole}"


def _money(found: list[Token]) -> list[Token]:
    """Amounts: "$1.5M" and "1.5 million dollars" as one number with its currency."""
    currencies = _currencies()

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [each.key for each in tokens[at : at + 3]] + ["", "", ""]
        kinds = [each.kind for each in tokens[at : at + 3]] + ["mark"] * 3
        if keys[0] == "usa" and keys[1] == "dollar" and kinds[2] == "number":
            return read(tokens, at + 1)  # "US$5"
        if _PLAIN.fullmatch(keys[0]) and keys[1] == "usa" and currencies.get(keys[2]) == "dollar":
            return Token(_amount(keys[0], 1, "dollar"), "number"), at + 3
        before = currencies.get(keys[0]) if kinds[0] == "word" else None
        if before and kinds[1] == "number" and _PLAIN.fullmatch(keys[1]):
            scale = _MAGNITUDES.get(keys[2], 1)
            return Token(_amount(keys[1], scale, before), "number"), at + (2 if scale == 1 else 3)
        after = currencies.get(keys[1]) if kinds[1] == "word" else None
        if kinds[0] == "number" and after and _PLAIN.fullmatch(keys[0]):
            return Token(_amount(keys[0], 1, after), "number"), at + 2
        return None, at

    return rewrite(found, read)


def _amount(number: str, scale: int, currency: str) -> str:
    return f"{_written((Decimal(number) * scale).normalize())} {currency}"


@cache
def _currencies() -> dict[str, str]:
    """Names of currencies, in the singular."""
    names = "dollar euro pound yen rupee won ruble franc peso krona krone mark shilling lira real yuan guilder crown cent"
    return {name: one for one in names.split() for name in (one, f"{one}s")} | {"rouble": "ruble", "roubles": "ruble"}


def _units(found: list[Token]) -> list[Token]:
    """Units of measure behind a number, by their American name, and the number without zeros at its end."""
    exact, folded = _unit_names()

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else Token("", "mark")
        if token.kind == "number" and "." in token.key and after.key in folded and _PLAIN.fullmatch(token.key):
            return token._replace(key=_plain(token.key)), at + 1
        if not at or tokens[at - 1].kind != "number" or token.kind != "word":
            return None, at
        if token.key == "in" and after.kind != "mark":  # "12 in" and "1852 in Paris"
            return None, at
        name = exact.get(token.written)
        if not name and len(token.written) > 1 and (token.written.islower() or token.written.isupper()):
            name = folded.get(token.key)
        if name:
            return token._replace(key=name, capital=False), at + 1
        if _MILLI.fullmatch(token.written) or (token.key in folded and len(token.key) <= _SHORT):
            return token._replace(key=token.written, capital=False), at + 1
        return None, at

    return rewrite(found, read)


@cache
def _unit_names() -> tuple[dict[str, str], dict[str, str]]:
    """What ICU calls the units, in words and short, in American and in British English; and the same in small letters.

    An ambiguous name in small letters ("mb") stands for no unit.
    """
    exact, folded = dict[str, str](), dict[str, str]()
    for unit in _UNITS.split():
        for place in ("en", "en_GB"):
            for width in ("full-name", "short"):
                form = MessageFormat(f"{{n, number, ::unit/{unit} unit-width-{width}}}", place)
                for number in (1, 2):
                    name = str(form.format({"n": number})).removeprefix(str(number)).strip()
                    if name.isalpha():
                        exact.setdefault(name, unit)
    for name, unit in exact.items():
        folded[name.casefold()] = unit if folded.get(name.casefold(), unit) == unit else ""
    return exact, folded


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
            parts += [words[day].removesuffix("th").zfill(2)] if day is not None else []
            return Token("-".join(parts), "date"), at + kept[last] + 1
        return None, at

    return rewrite(found, read)


def _fits(pattern: regex.Pattern[str], words: Sequence[str], index: int | None) -> bool:
    return index is None or bool(pattern.fullmatch(words[index]))
