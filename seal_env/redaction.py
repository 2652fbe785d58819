"""Keys and passwords never stand in a file or a message: the one place that knows them, and takes them out.

They are the values of environment variables whose names say so, and what addresses hold between `//` and `@`. `redacted` is
applied to what servers answer, to errors and to everything that a run folder gets.

A secret that could as well be a word, a number or a path is only taken out behind a word that says what it is (`key`,
`password`, `bearer` ...): a password `information` must not blank that word in every task.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

HIDDEN: Final = "***"
SHORTEST: Final = 8
"""Characters from which on a value in the environment is a secret wherever it stands."""
SHORTEST_NAMED: Final = 4
"""The same of one behind a word that says what it is, and of a password in an address."""
LONGEST_WORD: Final = 20
"""Characters from which on letters alone are no word."""
PLACEHOLDERS: Final = frozenset(
    (
        *("lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "placeholder", "dummy", "none", "null"),
        *("empty", "true", "false", "token"),
    )
)
"""Keys that local servers are commonly given, which are no secrets."""

_NAMES: Final = re.compile(
    r"(?:\A|_)(?:KEY|PASS|PWD|PAT|AUTH|AUTHORIZATION|COOKIE|CREDENTIAL|HEADER|CONNECTION_STRING)S?(?:_ID)?\Z"
    r"|(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|APIKEY|ACCESSKEY)S?(?:_ID)?\Z|\AOPENAI_(?:ORG|PROJECT|CUSTOM)_",
    re.IGNORECASE,
)
_ADDRESSES: Final = re.compile(r"_(?:PROXY|URL|ENDPOINT|URI|DSN)\Z", re.IGNORECASE)
_PARTS: Final = re.compile(r"[\s,;]+")
_NAMED: Final = re.compile(r"\w{1,40}=(?=[^=])")
_PATH: Final = re.compile(r"(?:[A-Za-z]:\\|[~/.])[\w ./\\~-]*[/\\][\w .~-]*")
_RANDOM: Final = re.compile(r"(?=[^/]*[A-Z])(?=[^/]*[a-z])(?=[^/]*\d)[^/]{16}")
_WORDS: Final = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[-_./ ](?:[A-Z]?[a-z]+|[A-Z]+))*")
_NUMBER: Final = re.compile(r"[\d.:-]{1,15}")
_USER: Final = re.compile(r"(?<=://)[^\s\"']{0,500}@|(?<![^\s\"'/:@])[^\s\"'/:@]{1,200}+:(?!//)[^\s\"'@]{1,500}+@")
_HEADER: Final = re.compile(r"\b(bearer|authorization\W{1,8}basic)\s+[^\s\"',;}]+", re.IGNORECASE)
_SAYS_SO: Final = (
    r"(?:(?:api|access)?key|token|secret|passw(?:or)?d|passphrase|pass|pwd|auth(?:orization)?|credentials?|cookie)"
)
_SAID: Final = re.compile(rf"(?:\A|[\W_]){_SAYS_SO}\Z", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|/)")
"""Ways in which JSON may write a character that stands for itself."""
_remembered: set[str] = set()


class _Secrets(NamedTuple):
    """What is taken out. everywhere: wherever it stands, the longest first. named: the others, behind what says so."""

    everywhere: tuple[str, ...]
    named: re.Pattern[str] | None
    words: frozenset[str]


def remember(secret: str) -> None:
    """From now on, `redacted` takes this out too, unless it is shorter than four characters."""
    if len(secret) >= SHORTEST_NAMED:
        _remembered.add(secret)


def split_address(address: str) -> tuple[str, tuple[str, str] | None]:
    """An address without its user and password, and these, which are remembered; None if it has none."""
    scheme, mark, rest = address.partition("://")
    user, at, _ = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    if not mark or not at:
        return address, None
    name, _, password = (unquote(part) for part in user.partition(":"))
    for secret in (password or name, user, b64encode(f"{name}:{password}".encode()).decode()):
        remember(secret)
    return f"{scheme}://{rest[len(user) + 1 :]}", (name, password)


def redacted(value: Any) -> Any:
    """A text, or what JSON can hold, without any secret in its texts. Tuples become lists."""
    named = frozenset((name, each) for name, each in os.environ.items() if _NAMES.search(name))
    for name, each in os.environ.items():
        if "@" in each and _ADDRESSES.search(name):
            split_address(each)
    secrets = _secrets(named, frozenset(_remembered))
    return _without(value, secrets) if secrets.everywhere or secrets.named else value


def redacted_message(text: str) -> str:
    """`redacted`, and without what looks like a user in an address or like a key in a header."""
    return _HEADER.sub(rf"\1 {HIDDEN}", _USER.sub(f"{HIDDEN}@", str(redacted(text))))


@lru_cache(maxsize=8)
def _secrets(variables: frozenset[tuple[str, str]], remembered: frozenset[str]) -> _Secrets:
    given = {part for _, value in variables for part in _pieces(value)}
    known = {each for each in given | remembered if each.lower() not in PLACEHOLDERS}
    plain = {each for each in known if _may_be_text(each) or (each not in remembered and len(each) < SHORTEST)}
    words = {each for each in plain if not _PATH.fullmatch(each)}
    everywhere = sorted(_spellings(known - plain), key=len, reverse=True)
    any_of = "|".join(map(re.escape, sorted(_spellings(words), key=len, reverse=True)))
    behind = rf"(?<![A-Za-z0-9])(?:{_SAYS_SO}[\w ]{{0,10}}[\"'\]]*+\s*+[:=]\s*+[\"'\[]*+|(?:bearer|basic)\s++)"
    named = re.compile(rf"(?i:({behind}))(?:{any_of})(?!\w)") if any_of else None
    return _Secrets(tuple(everywhere), named, frozenset(words))


def _pieces(value: str) -> set[str]:
    """A value of the environment, and the parts of one that holds several, such as `Endpoint=...;AccountKey=...`."""
    parts = (_NAMED.sub("", part, count=1).strip("\"':") for part in _PARTS.split(value))
    found = {value, value.strip(), *(part for part in parts if len(part) >= SHORTEST and not _may_be_text(part))}
    return {each for each in found if len(each) >= SHORTEST_NAMED}


def _may_be_text(value: str) -> bool:
    """Whether a value could stand in any text: words, a path, a number."""
    if _WORDS.fullmatch(value):
        return len(value) < LONGEST_WORD or "/" in value
    is_path = _PATH.fullmatch(value) and not _RANDOM.search(value)
    return bool(is_path or _NUMBER.fullmatch(value))


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Secrets as they stand in a text, in JSON, in Python's `repr` and in an address."""
    return {
        spelling
        for each in secrets
        for spelling in (
            *(each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1], repr(each)[1:-1]),
            quote(each, safe="", errors="replace"),
        )
    }


def _without(value: Any, secrets: _Secrets) -> Any:
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, Mapping):
        return {
            _without(key, secrets): HIDDEN
            if isinstance(item, str) and item in secrets.words and isinstance(key, str) and _SAID.search(key)
            else _without(item, secrets)
            for key, item in value.items()
        }
    return [_without(item, secrets) for item in value] if isinstance(value, list | tuple) else value


def _text(value: str, secrets: _Secrets) -> str:
    plain = _ESCAPES.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", value) if "\\" in value else value
    value = plain if any(secret in plain and secret not in value for secret in secrets.everywhere) else value
    for secret in secrets.everywhere:
        value = value.replace(secret, HIDDEN)
    return secrets.named.sub(rf"\1{HIDDEN}", value) if secrets.named else value
