"""Forms whose calls are JSON, whole or with the tool's name before the arguments."""

from __future__ import annotations

import re

from seal_env.self_edits.call_forms.cursor import Call, Cursor, check_words, either_bar, objects
from seal_env.thoughts import UnreadableError

_SEPARATORS = (";", ",")
_CALL_ID = re.compile(r"\[CALL_ID\]\w*+")
_NUMBER = re.compile(r":\d++")
_HARMONY_PART = re.compile(r"to=([\w.\-]++)|<\|channel\|>(?:commentary|analysis)|<\|constrain\|>\w++|json|code")


def sequence(cursor: Cursor, *ends: str) -> list[Call]:
    """Objects or lists of them, with white space, `;` or `,` between them, up to one of the ends or that of the text."""
    calls = objects(cursor.json())
    while not cursor.at_end and not cursor.at(*ends):
        cursor.take(*_SEPARATORS)
        calls += objects(cursor.json())
    return calls


def block(cursor: Cursor, end: str) -> list[Call]:
    """Objects or lists of them, and the mark that ends them."""
    calls = sequence(cursor, end)
    cursor.expect(end)
    return calls


def open_block(cursor: Cursor, begin: str, end: str) -> list[Call]:
    """As `block`; after whole JSON the mark may be missing at the end of the text and before the next call."""
    calls = sequence(cursor, end, begin)
    if not cursor.take(end) and not cursor.at_end and not cursor.at(begin):
        raise cursor.error(f"{end} is missing")
    return calls


def to_the_end(cursor: Cursor) -> list[Call]:
    """Objects or lists of them, up to the end of the text or the next mark."""
    return sequence(cursor, "<|", "<think>")


def one_list(cursor: Cursor) -> list[Call]:
    """One list of objects."""
    return objects(cursor.json())


def by_name(cursor: Cursor, end: str) -> list[Call]:
    """A list of objects with one key each, the tool's name, and the mark that ends it (Apertus)."""
    calls: list[Call] = []
    for each in objects(cursor.json()):
        if len(each) != 1:
            raise UnreadableError("an object of a call has more than the tool's name")
        calls += [{"name": name, "arguments": arguments} for name, arguments in each.items()]
    cursor.expect(end)
    return calls


def named(cursor: Cursor) -> list[Call]:
    """NAME, or NAME:NUMBER, and an object of arguments."""
    name = cursor.name()
    cursor.match(_NUMBER)
    return [{"name": name, "arguments": _object(cursor)}]


def mistral(cursor: Cursor) -> list[Call]:
    """A list of objects (tokenizers v3 and v7), or NAME [CALL_ID] [ARGS] and an object (v11 on)."""
    cursor.skip_space()
    if cursor.at("[", "{"):
        return one_list(cursor)
    name = cursor.name()
    cursor.match(_CALL_ID)
    cursor.take("[ARGS]")
    return [{"name": name, "arguments": _object(cursor)}]


def kimi_k2(cursor: Cursor) -> list[Call]:
    """A section of calls, each with its id, functions.NAME:NUMBER, and an object."""
    calls: list[Call] = []
    while not cursor.take("<|tool_calls_section_end|>"):
        cursor.expect("<|tool_call_begin|>")
        name = cursor.name()
        cursor.match(_NUMBER)
        cursor.expect("<|tool_call_argument_begin|>")
        calls.append({"name": name, "arguments": _object(cursor)})
        cursor.expect("<|tool_call_end|>")
    return calls


def deepseek(cursor: Cursor) -> list[Call]:
    """A section of calls: function SEPARATOR NAME and a fenced object (V3, R1), or NAME SEPARATOR and an object (V3.1)."""
    calls: list[Call] = []
    while not cursor.take(*either_bar("<｜tool▁calls▁end｜>")):
        cursor.expect(*either_bar("<｜tool▁call▁begin｜>"))
        name = cursor.name()
        cursor.expect(*either_bar("<｜tool▁sep｜>"))
        cursor.skip_space()
        if name == "function" and not cursor.at("{"):
            name = cursor.name()
        calls.append({"name": name, "arguments": _object(cursor)})
        cursor.expect(*either_bar("<｜tool▁call▁end｜>"))
    return calls


def functionary(cursor: Cursor) -> list[Call]:
    """`>>>all` and words, or `>>>NAME` and an object (v3.2)."""
    if cursor.take("all\n"):
        return []
    return named(cursor)


def functionary_v2(cursor: Cursor) -> list[Call]:
    """The recipient, the content, which are words for `all` and an object for a tool, and the mark that ends it."""
    name = cursor.name()
    cursor.expect("<|content|>")
    if name == "all":
        return []
    arguments = _object(cursor)
    if not cursor.take("<|stop|>") and not cursor.at_end and not cursor.at("<|from|>"):
        raise cursor.error("<|stop|> is missing")
    return [{"name": name, "arguments": arguments}]


def react(cursor: Cursor) -> list[Call]:
    """`Action: NAME` and `Action Input:` with an object."""
    name = cursor.name()
    cursor.expect("Action Input:")
    return [{"name": name, "arguments": _object(cursor)}]


def qwen_agent(cursor: Cursor) -> list[Call]:
    """NAME and the arguments behind their mark."""
    name = cursor.name()
    cursor.expect("✿ARGS✿:")
    return [{"name": name, "arguments": _object(cursor)}]


def harmony(cursor: Cursor) -> list[Call]:
    """A message of gpt-oss: channel and, of a call, recipient, in either order; then the call's arguments, or words."""
    recipients: list[str] = []
    while not cursor.take("<|message|>"):
        part = cursor.match(_HARMONY_PART)
        if part is None:
            raise cursor.error("<|message|> is missing")
        recipients += [part[1]] if part[1] else []
    if len(recipients) > 1:
        raise cursor.error("a call has two recipients")
    if not recipients:
        check_words(cursor.until("<|end|>"))
        return []
    call: Call = {"name": recipients[0], "arguments": _object(cursor)}
    if not cursor.take("<|call|>", "<|end|>") and not cursor.at_end and not cursor.at("<|start|>"):
        raise cursor.error("<|call|> is missing")
    return [call]


def _object(cursor: Cursor) -> Call:
    """The arguments of a call."""
    value = cursor.json()
    if not isinstance(value, dict):
        raise UnreadableError("the arguments of a call are not an object")
    return value
