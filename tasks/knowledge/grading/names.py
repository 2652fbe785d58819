"""Names in one form, however they are shortened: initials, titles, "St.", "Mt.", "No. 5" and the names of some unions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seal_env.tasks.knowledge.grading.text_token import Token, rewrite

_BEFORE: Final = {
    "st": "saint",
    "mt": "mount",
    "ft": "fort",
    "prof": "professor",
    "gen": "general",
    "col": "colonel",
    "capt": "captain",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "rev": "reverend",
    "sen": "senator",
    "gov": "governor",
    "pres": "president",
    "adm": "admiral",
}
"""Short words before a name."""
_BEHIND: Final = {
    "st": "street",
    "ave": "avenue",
    "rd": "road",
    "blvd": "boulevard",
    "jr": "junior",
    "sr": "senior",
    "inc": "incorporated",
    "ltd": "limited",
    "corp": "corporation",
    "co": "company",
    "bros": "brothers",
    "univ": "university",
    "dept": "department",
    "c": "century",
}
"""Short words behind a name."""
_UNIONS: Final = {
    ("united", "states", "of", "america"): "usa",
    ("united", "states"): "usa",
    ("united", "kingdom"): "uk",
    ("united", "nations"): "un",
    ("european", "union"): "eu",
    ("soviet", "union"): "ussr",
}
_FIRST: Final = frozenset(words[0] for words in _UNIONS)
_LETTERS: Final = frozenset(_UNIONS.values())
_MANY: Final = 4
_CAPITALS: Final = {"us": "usa", "it": "IT", "who": "WHO"}
"""Abbreviations that are light words in small letters."""


def in_full(found: list[Token], capitals: bool) -> list[Token]:
    """The tokens with names in full. capitals: The whole text is in capital letters."""
    shouted = capitals and any(len(token.written) >= _MANY for token in found)  # so that capital letters tell nothing

    def read(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
        token = tokens[at]
        if token.kind != "word":
            return None, at
        if len(token.key) == 1 and token.written.endswith("."):
            return _initials(tokens, at)
        if token.key == "no":
            return _number(tokens, at)
        if token.key in _FIRST:
            return _union(tokens, at)
        if token.key in _BEFORE or token.key in _BEHIND:
            return _title(tokens, at)
        return _capitals(tokens, at, shouted) if token.key in _CAPITALS else (None, at)

    return rewrite(found, read)


def _initials(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    """Initials as one word: "J. K." as "JK"."""
    end = at
    while end < len(tokens) and len(tokens[end].key) == 1 and tokens[end].written.endswith("."):
        end += 1
    if end - at < 2:
        return None, at
    return tokens[at]._replace(key="".join(token.key for token in tokens[at:end])), end


def _number(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    """The word "number" in full: "No. 5" as "number 5"."""
    dotted = tokens[at].written.endswith(".")
    after = at + 1 if dotted else at + 2
    marked = dotted or (at + 1 < len(tokens) and tokens[at + 1].key == ".")
    if tokens[at].key != "no" or not marked or after >= len(tokens) or tokens[after].kind != "number":
        return None, at
    return tokens[at]._replace(key="number"), after


def _union(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    for words, name in _UNIONS.items():
        there = tokens[at : at + len(words)]
        if tuple(token.key for token in there) == words:
            return there[0]._replace(key=name, possessive=there[-1].possessive, capital=True), at + len(words)
    return None, at


def _title(tokens: Sequence[Token], at: int) -> tuple[Token | None, int]:
    token = tokens[at]
    before = tokens[at - 1] if at else Token("", "mark")
    after = at + 1 + (at + 1 < len(tokens) and tokens[at + 1].key == ".")
    follows = tokens[after] if after < len(tokens) else Token("", "mark")
    if token.key in _BEFORE and follows.kind == "word" and token.capital == follows.capital and before.kind != "number":
        return token._replace(key=_BEFORE[token.key]), after
    if token.key == "c":  # "19th c."
        return (token._replace(key="century"), at + 1) if before.key.endswith("th") else (None, at)
    if token.key in _BEHIND and before.kind == "word" and before.capital == token.capital:
        return token._replace(key=_BEHIND[token.key]), at + 1
    return None, at


def _capitals(tokens: Sequence[Token], at: int, shouted: bool) -> tuple[Token | None, int]:
    """Words that are others in capital letters, "US", "IT" and "WHO"; "the us" is a country as well."""
    token = tokens[at]
    written = token.written.replace(".", "")
    alone = len([each for each in tokens if each.kind != "mark"]) == 1
    country = token.key == "us" and at > 0 and tokens[at - 1].key == "the"
    if not country and not (written.isupper() and ("." in token.written or alone or not shouted)):
        return None, at
    return token._replace(key=_CAPITALS[token.key], capital=True), at + 1


def initials_of(token: Token) -> str:
    """The letters by which an abbreviation stands for a word, or for the words of a union."""
    return token.key if token.key in _LETTERS else token.key[0]
