"""JSON from an untrusted writer: a value, or a ValueError with a short reason; never another exception, and never slow.

Stricter than `json.loads`: no NaN or Infinity, no duplicate keys, no lone surrogates, and limits on length, nesting and the
length of numbers. Length and nesting are checked before the parser runs, so it cannot run out of stack.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeAlias

from seal_env.thoughts import WHITE_SPACE

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_CHARACTERS = 65_536
MAX_DEPTH = 32
MAX_NUMBER_CHARACTERS = 64
MAX_VALUES = 8_192
"""Most values in an object that arrives already parsed."""

_STRINGS_AND_OTHER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[^\[\]{}"]++', re.DOTALL)


def loads(text: str) -> JSON:
    """Parse a text. Raises ValueError with what is wrong, and where."""
    check_length(text)
    _check_depth(text)
    try:
        value: JSON = _DECODER.decode(text.strip(WHITE_SPACE))
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    if "\\u" in text or not text.isascii():
        check_unicode(json.dumps(value, ensure_ascii=False))
    return value


def plain(value: object) -> JSON:
    """A copy of an object that is JSON already (dicts with string keys, lists, tuples, scalars) under the same limits."""
    return _Copier().copy(value, MAX_DEPTH)


def shown(value: object, limit: int = 60) -> str:
    """A JSON value as one short line for a message: cut at `limit` characters."""
    return cut(json.dumps(value), limit)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and three dots, at most `limit` characters in all."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def check_length(text: str) -> None:
    """Raises ValueError if the text is longer than MAX_CHARACTERS."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, and at most {MAX_CHARACTERS} are read")


def check_unicode(text: str) -> None:
    """Raises ValueError if the text has half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is not a character") from None


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _STRINGS_AND_OTHER.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {shown(key)} appears twice in one object")
        result[key] = value
    return result


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError(f"a number has {len(text)} digits, and at most {MAX_NUMBER_CHARACTERS} are read")
    return int(text)


def _real(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError(f"a number has {len(text)} digits, and at most {MAX_NUMBER_CHARACTERS} are read")
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_real, parse_constant=_constant)


class _Copier:
    """Copies a tree and stops at the limits, so that cycles end too."""

    def __init__(self) -> None:
        self._values, self._characters = 0, 0

    def copy(self, value: object, depth: int) -> JSON:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values")
        if isinstance(value, dict | list | tuple) and depth == 0:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            return {self._key(key): self.copy(item, depth - 1) for key, item in dict.items(value)}
        if isinstance(value, list):
            return [self.copy(item, depth - 1) for item in list.__iter__(value)]
        if isinstance(value, tuple):
            return [self.copy(item, depth - 1) for item in tuple.__iter__(value)]
        return self._scalar(value)

    def _key(self, key: object) -> str:
        if isinstance(key, str):
            return self._string(key)
        raise ValueError(f"an object has a key of type {cut(type(key).__name__, 60)}; keys are strings")

    def _scalar(self, value: object) -> JSON:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._string(value)
        if type(value) is int and value.bit_length() <= 4 * MAX_NUMBER_CHARACTERS:
            return value
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        raise ValueError(f"it has a value of type {cut(type(value).__name__, 60)} that JSON cannot write")

    def _string(self, value: str) -> str:
        self._characters += len(value)
        if self._characters > MAX_CHARACTERS:
            raise ValueError(f"it has more than {MAX_CHARACTERS} characters")
        check_unicode(value)
        return str.__str__(value)
