"""Forms whose calls are written in Python: `[augment(flips=True), finetune()]`.

A call is translated into JSON token by token and read as JSON; nothing is evaluated and nothing recurses. Only literals
pass: no other names, no operators, no calls within arguments, no positional arguments but one dict. `print` around a call,
as Gemma writes it, is no part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from seal_env.self_edits.call_forms.cursor import Call, Cursor, objects
from seal_env.self_edits.untrusted_json import loads
from seal_env.thoughts import UnreadableError

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')
    |(?P<call>[A-Za-z_][\w.\-]*+)\(
    |(?P<key>[A-Za-z_]\w*+)[ ]*+=[ ]*+
    |(?P<word>[A-Za-z_]\w*+)
    |(?P<number>-?[0-9][0-9.eE+\-]*+)
    |(?P<open>[\[{])
    |(?P<close>[\])}])
    |(?P<comma>,)
    |(?P<colon>:)
    |(?P<space>\s++)""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "true": "true", "False": "false", "false": "false", "None": "null", "null": "null"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "'": "'", '"': '"', "\\": "\\", "/": "/", "\n": ""}
_METHOD = ".call"
_PRINT = "print"
_WRAPPER = "tool_call"
"""ChatGLM3 writes this name for every tool, and the tool's own one before it, where words stand."""


def expression(cursor: Cursor) -> list[Call]:
    """A call, or a list of calls."""
    cursor.skip_space()
    translation = _Translation(cursor)
    while True:
        found = cursor.match(_TOKEN)
        if found is None:
            raise cursor.error("a call in Python is not complete")
        translation.add(found)
        if translation.ended:
            return translation.calls()


def block(cursor: Cursor, end: str) -> list[Call]:
    """Calls or lists of calls, with white space, `,` or `;` between them, and the mark that ends them."""
    calls: list[Call] = []
    while not cursor.take(end):
        calls += expression(cursor)
        cursor.take(",", ";")
    return calls


def to_the_end(cursor: Cursor) -> list[Call]:
    """Calls or lists of calls up to the end of the text or the next mark."""
    calls = expression(cursor)
    while cursor.take(",", ";") or not (cursor.at_end or cursor.at("<")):
        calls += expression(cursor)
    return calls


class _Translation:
    """What has been translated so far, and which brackets are open.

    They are [, {, ( of a call, ({ of a call with one dict, and `print`.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._json: list[str] = []
        self._open: list[str] = []

    @property
    def ended(self) -> bool:
        return bool(self._json) and not self._open

    def calls(self) -> list[Call]:
        try:
            return objects(loads("".join(self._json)))
        except ValueError as error:
            raise UnreadableError(f"a call in Python is not one of literals: {error}") from None

    def add(self, found: re.Match[str]) -> None:
        kind, token = str(found.lastgroup), found[0]
        if kind == "space":
            return
        if not self._open and kind != "call" and token != "[":
            raise self._cursor.error("a call in Python is missing")
        self.ADD[kind](self, found[kind])

    def _string(self, token: str) -> None:
        self._json.append(json.dumps(_ESCAPE.sub(_unescaped, token[1:-1]) if "\\" in token else token[1:-1]))

    def _call(self, name: str) -> None:
        if self._open not in ([], ["["], [_PRINT], [_PRINT, "["]) or name == _WRAPPER:
            raise self._cursor.error(f"{name} is called within another call")
        if name == _PRINT and not self._open:
            self._open.append(_PRINT)
            self._json.append("")
            return
        self._cursor.skip_space()
        one_dict = self._cursor.at("{")
        self._open.append("({" if one_dict else "(")
        self._json += [f'{{"name": {json.dumps(name.removesuffix(_METHOD))}, "arguments": ', "" if one_dict else "{"]

    def _key(self, name: str) -> None:
        if self._open[-1] != "(":
            raise self._cursor.error(f"{name}= stands outside of a call")
        self._json.append(f"{json.dumps(name)}: ")

    def _word(self, word: str) -> None:
        if word not in _WORDS:
            raise self._cursor.error(f"{word} is not a literal")
        self._json.append(_WORDS[word])

    def _as_it_is(self, token: str) -> None:
        self._json.append(token)

    def _bracket(self, bracket: str) -> None:
        self._open.append(bracket)
        self._json.append(bracket)

    def _close(self, bracket: str) -> None:
        opened = self._open.pop()
        if {"[": "]", "{": "}"}.get(opened, ")") != bracket:
            raise self._cursor.error(f"{bracket} does not close {opened}")
        if self._json[-1] == "," and self._json[-2] not in ("[", "{"):
            self._json.pop()
        self._json.append({"(": "}}", "({": "}", _PRINT: ""}.get(opened, bracket))

    ADD: ClassVar[Mapping[str, Callable[[_Translation, str], None]]] = MappingProxyType(
        {
            "string": _string,
            "call": _call,
            "key": _key,
            "word": _word,
            "number": _as_it_is,
            "open": _bracket,
            "close": _close,
            "comma": _as_it_is,
            "colon": _as_it_is,
        }
    )


def _unescaped(found: re.Match[str]) -> str:
    number = found[1] or found[2] or found[3]
    if number:
        code = int(number, 16)
        if code > 0x10FFFF:
            raise UnreadableError(f"{found[0]} is not a character")
        return chr(code)
    if found[4] not in _ESCAPED:
        raise UnreadableError(f"\\{found[4]} is not an escape sequence")
    return _ESCAPED[found[4]]
