"""Tokens of a text: words, numbers, dates and marks in a normal form, however they were written.

Words are those of Unicode; scripts that put no spaces between them are split by ICU's dictionaries. Signs are words by their
Unicode names, so that "$5" and "£5", "50%" and "50", "C" and "C++" differ. A number keeps its sign and the digits after its
point, and what is joined by "-", ":", "/" or a second point ("3-2", "1:10", "2.1.0") stays as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import regex
from icu4py.breakers import WordBreaker

from seal_env.tasks.knowledge.grading.names import in_full
from seal_env.tasks.knowledge.grading.quantities import combine
from seal_env.tasks.knowledge.grading.text_token import Token
from seal_env.unspaced import UNSPACED

_SAME: Final = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u2032\uff07"), "'"),
    **str.maketrans({"\u2044": "/", "\u200b": "", "\u00ad": "", "\u3001": ",", "\u3002": ".", "\uff0c": ",", "\uff1b": ";"}),
}
_SPELLED: Final = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"})
_RAISED: Final = regex.compile("([\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)")
_ACCENTS: Final = regex.compile(r"(?<=\p{Latin})[\u0300-\u036f]+")
_LETTER: Final = rf"(?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{Nl}}\p{{No}}])"
_PIECE: Final = regex.compile(
    rf"""
    (?P<money>(?<![\p{{L}}\p{{N}}])(?!US\$)[A-Z]{{1,3}}\$(?=\d))
    |(?P<number>(?:(?<![\p{{L}}\p{{N}})\]%.+-])[+-])?(?:\d+(?:[.,:/-]\d+)*|(?<![\p{{L}}\p{{N}}])\.\d+))
        (?:(?P<ordinal>(?i:st|nd|rd|th)(?![\p{{L}}\p{{N}}]))|(?P<decade>'?(?i:s)(?![\p{{L}}\p{{N}}]))
          |(?P<letter>a(?![\p{{L}}\p{{N}}]))|(?P<scale>(?:[KkM]|[bm]n)(?![\p{{L}}\p{{N}}])))?
    |(?P<unspaced>[{UNSPACED}][{UNSPACED}\p{{M}}]*)
    |(?P<short>(?<![\p{{L}}\p{{N}}])(?:\p{{L}}{{1,2}}\.){{1,8}}\p{{L}}{{1,2}}(?![\p{{L}}\p{{N}}])\.?)
    |(?P<initial>(?<![\p{{L}}\p{{N}}'])(?:(?:\p{{Lu}}|\p{{Lu}}\p{{Ll}}{{1,2}})\.(?=\s\p{{Lu}})|\p{{Lu}}\p{{Ll}}{{1,3}}\.(?=\s\d)
        |(?:Prof|Capt|Pres|Univ|Dept|Corp|Bros|Blvd)\.(?=\s\p{{Lu}})))
    |(?P<word>{_LETTER}(?:{_LETTER}|\d|(?<=\d)\.(?=\d))*+(?:'{_LETTER}+)*+(?:[+\#\u2217]+|(?<=(?<![\p{{L}}\p{{N}}])\p{{Lu}})-(?![\p{{L}}\p{{N}}]))?)
    |(?P<mark>[.,;:!?|()\[\]\n/]|(?<=\s)-+(?=\s)|\u2014)
    |(?P<sign>[\p{{S}}%&\#@§¶‰*\\])
    """,
    regex.VERBOSE,
)
_MARKDOWN: Final = regex.compile(r"(?<![*_`~])[*_`~]++(?=[\p{L}\p{N}])|(?<=[\p{L}\p{N}.!?])[*_`~]++")
_STARRED: Final = regex.compile(r"(?<![\p{L}\p{N}*_])(\p{L})\*(?![\p{L}\p{N}*])")
_THOUSANDS: Final = regex.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL: Final = regex.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")
_MAGNITUDES: Final = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9}
_PAIRS: Final = {"!=": "\u2260", ">=": "\u2265", "<=": "\u2264"}
_SIGNS: Final = {"&": "and", "%": "percent", "‰": "permille"}


def tokens(text: str, joined: bool) -> tuple[Token, ...]:
    """The tokens of a text. joined: words with a hyphen are one word ("e-mail" is "email"); or else they are several."""
    text = _RAISED.sub(lambda found: f"^{found[1]}", text)
    if text.count("*") == len(_STARRED.findall(text)):  # or else they are Markdown
        text = _STARRED.sub("\\1\u2217", text)
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    for pair, sign in _PAIRS.items():
        text = text.replace(pair, sign)
    text = _MARKDOWN.sub("", text)
    found = in_full(list(_scan(text)), capitals=text.isupper())
    return tuple(combine(_joined(found) if joined else found))


def _scan(text: str) -> Iterator[Token]:
    end = 0
    for found in _PIECE.finditer(text):
        glued, end = text[end : found.start()] == "-", found.end()
        said = found[0]
        if number := found["number"]:
            key = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number
            key = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in key)
            yield Token(_number(key, found), "number", glued)
        elif found["unspaced"]:
            yield from (Token(each) for each in WordBreaker(said, "root"))
        elif found["money"]:  # "A$5" is no "$5"
            yield Token(said.casefold(), "word", glued)
        elif found["mark"]:
            yield Token(said, "mark")
        elif found["sign"]:
            yield Token(_SIGNS.get(said) or _name(said), "word", glued)
        else:
            yield _word(said if found["word"] else said.replace(".", ""), glued)._replace(written=said)


def _number(key: str, found: regex.Match[str]) -> str:
    """A number with what is written right behind it: "5th", "1990s", "1.5M"."""
    if found["decade"]:
        return f"{key}s"
    if found["ordinal"] or found["letter"]:  # "house 7a" is not "7"
        return f"{key}th" if found["ordinal"] else f"{key}a"
    if (scale := found["scale"]) and _DECIMAL.fullmatch(key):
        return f"{(Decimal(key) * _MAGNITUDES[scale.lower()]).normalize():f}"
    return key.removeprefix("0" if key[:2] == "00" else "")


def _word(said: str, glued: bool) -> Token:
    possessive = said.casefold().endswith("'s")
    plain = said[:-2] if possessive else said
    letters = unicodedata.normalize("NFKD", plain.replace("'", "").casefold().translate(_SPELLED))
    key = unicodedata.normalize("NFC", _ACCENTS.sub("", letters))
    return Token(key, "word", glued, said[0].isupper(), possessive)


def _name(sign: str) -> str:
    """The last word of a sign's name: "dollar" of DOLLAR SIGN."""
    return unicodedata.name(sign, "sign").removesuffix(" SIGN").lower().replace(" ", "-")


def _joined(found: list[Token]) -> list[Token]:
    """Each word after a hyphen as the end of the word before."""
    whole: list[Token] = []
    for token in found:
        last = whole[-1] if whole else None
        if token.glued and last is not None and token.kind == last.kind == "word" and not last.possessive:
            whole[-1] = last._replace(key=last.key + token.key, possessive=token.possessive)
        else:
            whole.append(token)
    return whole
