"""Amounts of money and units of measure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Final

import regex
from icu4py.messageformat import MessageFormat

from seal_env.tasks.knowledge.grading.number_words import PLAIN, plain, written
from seal_env.tasks.knowledge.grading.text_token import Token, rewrite

_MAGNITUDES: Final = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
_UNITS: Final = (
    "kilometer meter foot centimeter millimeter mile yard inch hectare acre kilogram gram ton pound liter milliliter "
    "celsius fahrenheit kilowatt megawatt milliwatt gigawatt watt volt hertz kilohertz megahertz gigahertz mile-per-hour "
    "kilometer-per-hour bit byte kilobit kilobyte megabit megabyte gigabit gigabyte terabit "
    "terabyte hour minute joule kilojoule ampere milliampere"
)
_SHORT: Final = 3
_MILLI: Final = regex.compile("m[A-Z][a-z]?|[kKMGTP]i?Bps")
"""Units in which a large letter is another unit than a small one: "mV" and "MV", "MBps" and "Mbps"."""
_POWERS: Final = {"2": "square", "3": "cubic"}
_SCALES: Final = {"c": "celsius", "celsius": "celsius", "f": "fahrenheit", "fahrenheit": "fahrenheit"}
_HOURS: Final = frozenset(["am", "pm", "oclock"])


def read_money(found: list[Token]) -> list[Token]:
    """Amounts: "$1.5M" and "1.5 million dollars" as one number with its currency."""
    currencies = _currencies()

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        keys = [each.key for each in tokens[at : at + 3]] + ["", "", ""]
        kinds = [each.kind for each in tokens[at : at + 3]] + ["mark"] * 3
        if keys[0] == "usa" and keys[1] == "dollar" and kinds[2] == "number":
            return read(tokens, at + 1)  # "US$5"
        if PLAIN.fullmatch(keys[0]) and keys[1] == "usa" and currencies.get(keys[2]) == "dollar":
            return Token(_amount(keys[0], 1, "dollar"), "number"), at + 3
        sign = kinds[0] == "word" and (tokens[at].written.isupper() or not tokens[at].written)  # not "won 5 medals"
        before = currencies.get(keys[0]) if sign else None
        if before and kinds[1] == "number" and PLAIN.fullmatch(keys[1]):
            scale = _MAGNITUDES.get(keys[2], 1)
            return Token(_amount(keys[1], scale, before), "number"), at + (2 if scale == 1 else 3)
        after = currencies.get(keys[1]) if kinds[1] == "word" else None
        if kinds[0] == "number" and after and PLAIN.fullmatch(keys[0]):
            return Token(_amount(keys[0], 1, after), "number"), at + 2 + (keys[2] == "sterling")
        return None, at

    return rewrite(found, read)


def _amount(number: str, scale: int, currency: str) -> str:
    return f"{written((Decimal(number) * scale).normalize())} {currency}"


@cache
def _currencies() -> dict[str, str]:
    """Names of currencies, in the singular."""
    names = "dollar euro pound yen rupee won ruble franc peso krona krone mark shilling lira real yuan guilder crown cent"
    codes = {"usd": "dollar", "eur": "euro", "gbp": "pound", "jpy": "yen", "rouble": "ruble", "roubles": "ruble"}
    return {name: one for one in names.split() for name in (one, f"{one}s")} | codes


def read_units(found: list[Token]) -> list[Token]:
    """Units of measure behind a number, by their American name, and the number without zeros at its end."""
    return rewrite(rewrite(found, _number), _unit)


def _number(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    token, after = tokens[at], tokens[at + 1].key if at + 1 < len(tokens) else ""
    if token.kind == "number" and PLAIN.fullmatch(token.key) and "." in token.key and after in _unit_names()[1]:
        return token._replace(key=plain(token.key)), at + 1
    if token.kind == "number" and token.key.endswith(":00") and after in _HOURS:
        return token._replace(key=token.key.removesuffix(":00")), at + 1
    return None, at


def _unit(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    token = tokens[at]
    if not at or tokens[at - 1].kind != "number" or token.kind != "word":
        return None, at
    keys = [each.key for each in tokens[at : at + 4]] + ["", "", ""]
    if keys[0] == "in" and keys[1] and tokens[at + 1].kind != "mark":  # "12 in" and "1852 in Paris"
        return None, at
    if keys[0] in ("degree", "degrees") and keys[1] in _SCALES:
        return token._replace(key=_SCALES[keys[1]], capital=False), at + 2
    if keys[0] in ("square", "sq") and (name := _name(tokens[at + 1 + (keys[1] == ".")])):
        return token._replace(key=f"square-{name}", capital=False), at + 2 + (keys[1] == ".")
    name = _name(token)
    if name and keys[1] == "circumflex-accent" and keys[2] in _POWERS:
        return token._replace(key=f"{_POWERS[keys[2]]}-{name}", capital=False), at + 3
    if name and keys[1] in ("/", "per") and keys[2] in ("h", "hour"):
        return token._replace(key=f"{name}-per-hour", capital=False), at + 3
    if not name and keys[0][-1] in _POWERS and (name := _name(token._replace(key=keys[0][:-1], written=token.written[:-1]))):
        return token._replace(key=f"{_POWERS[keys[0][-1]]}-{name}", capital=False), at + 1
    if name:
        return token._replace(key=name, capital=False), at + 1
    if _MILLI.fullmatch(token.written) or (token.key in _unit_names()[1] and len(token.key) <= _SHORT):
        return token._replace(key=token.written, capital=False), at + 1
    return None, at


def _name(token: Token) -> str:
    """A unit's American name; empty for other words."""
    exact, folded = _unit_names()
    name = exact.get(token.written, "")
    if not name and len(token.written) > 1 and (token.written.islower() or token.written.isupper()):
        name = folded.get(token.key, "")
        if not name and len(token.key) >= _SHORT:
            name = folded.get(token.key.removesuffix("s"), "")
    return name


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
    return exact, folded | {"kph": "kilometer-per-hour", "kmh": "kilometer-per-hour"}
