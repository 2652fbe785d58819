"""Tokens that belong together, as one: numbers in words, decades, amounts of money, shares, units, dates and eras."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.dates import read_dates
from seal_env.tasks.knowledge.grading.measures import read_money, read_units
from seal_env.tasks.knowledge.grading.number_words import DECADES, PLAIN, is_ordinal, plain, read_number, written
from seal_env.tasks.knowledge.grading.text_token import Token, rewrite

_DIGITS: Final = 4000
"""More than a prediction has."""
_BELOW_ONE: Final = regex.compile(r"[+-]?0?\.\d+")
"""No version begins with zero, so that zeros at its end say nothing."""
_CENTURIES: Final = (10, 20)
_TENS: Final = 10
_HUNDRED: Final = 100
_CENTURY: Final = regex.compile("1[0-9]|20")
_SHORT_DECADE: Final = regex.compile("[2-9]0s")
_WHOSE: Final = frozenset(["his", "her", "their", "my", "your", "our", "its"])
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
_FRACTION: Final = regex.compile("(\\d)/([234568]|10)")
_PART: Final = {f"{whole}th": whole for whole in (3, 4, 5, 6, 8, 10, 100)}
"""What one of the parts is called: the key of "fifth"."""
_ROMAN: Final = regex.compile(r"(x{0,3})(ix|iv|v?i{0,3})")
_ROMAN_ONES: Final = {
    numeral: number for number, numeral in enumerate(["-", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"])
}
_ERAS: Final = {"bce": "bc", "ce": "ad"}
_COUNTS: Final = frozenset(["dozen", "hundred", "thousand", "million", "billion", "trillion"])


def combine(found: list[Token]) -> list[Token]:
    """The tokens, those that belong together as one."""
    with localcontext(prec=_DIGITS):
        for step in (_roman, _numbers, _mixed, _decades, _shares, read_money, read_units, read_dates):
            found = step(found)
    return found


def _roman(found: list[Token]) -> list[Token]:
    """A roman numeral behind a word with a capital in digits: "War 2" for "War II"."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token = tokens[at]
        century = at + 1 < len(tokens) and tokens[at + 1].key == "century" and token.written.isupper()
        if token.kind != "word" or not token.capital or (not century and (at == 0 or not tokens[at - 1].capital)):
            return None, at
        numeral = _ROMAN.fullmatch(token.key)
        value = 10 * len(numeral[1]) + _ROMAN_ONES.get(numeral[2], 0) if numeral else 0
        return (token._replace(key=f"{value}th" if century else str(value), kind="number"), at + 1) if value else (None, at)

    return rewrite(found, read)


def _numbers(found: list[Token]) -> list[Token]:
    """Numbers in words, or in digits and words, in digits."""
    readable = [token.kind == "word" or (token.kind == "number" and bool(PLAIN.fullmatch(token.key))) for token in found]
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
        number = written(value / 2 if keys[at] == "half" else value)
        key = f"{number}th" if is_ordinal(keys[end - 1]) else number
        return Token(key, "number", token.glued, written=token.written), end

    return rewrite(found, read)


def _mixed(found: list[Token]) -> list[Token]:
    """A number "and a half": "7 and a half" as 7.5, "two and a half million" as 2500000."""

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [token.key for token in tokens[at : at + 4]]
        if len(keys) < 4 or keys[1:3] != ["and", "a"] or tokens[at].kind != "number" or not keys[0].isdecimal():
            return None, at
        part = {"half": Decimal("0.5"), "quarter": Decimal("0.25")}.get(keys[3])
        if part is not None:
            return tokens[at]._replace(key=f"{Decimal(keys[0]) + part:f}"), at + 4
        if tokens[at + 3].written == "half":
            scale = 2 * Decimal(keys[3])
            return tokens[at]._replace(key=written(Decimal(keys[0]) * scale + scale / 2)), at + 4
        return None, at

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
    if token.kind == "number" and PLAIN.fullmatch(token.key):
        if after.key == "percent" or [each.key for each in tokens[at + 1 : at + 3]] == ["per", "cent"]:
            return Token(f"{plain(token.key)}%", "number", token.glued), at + (2 if after.key == "percent" else 3)
        if after.kind == "word" and after.key in _PARTS and after.key != "half" and token.key.isdecimal():
            return Token(_fraction(int(token.key), _PARTS[after.key]), "number", token.glued), at + 2
        if token.key == "1" and after.key == "half":
            return Token("50%", "number", token.glued), at + 2
    if token.kind == "word" and token.key in ("half", "quarter") and not token.glued:
        return Token(_fraction(1, _PARTS[token.key]), "number"), at + 1
    if token.kind == "number" and (part := _FRACTION.fullmatch(token.key)) and int(part[1]) < int(part[2]):
        return Token(_fraction(int(part[1]), int(part[2])), "number", token.glued), at + 1
    if token.kind == "number" and _BELOW_ONE.fullmatch(token.key):
        return token._replace(key=plain(token.key)), at + 1
    return None, at


def _is_of(tokens: Sequence[Token], at: int) -> bool:
    """A part of something stands there, or nothing: "a third of them"."""
    return at >= len(tokens) or tokens[at].kind == "mark" or tokens[at].key == "of"


def _fraction(part: int, whole: int) -> str:
    share = Decimal(100 * part) / whole
    return f"{share:f}%" if share == share.to_integral_value() else f"{part}/{whole}"
