"""Forms whose arguments stand in tags, one each: those of Qwen3-Coder, GLM-4.5, MiniMax-M2, DeepSeek-V3.2, Kimi K3.

The formats are no XML: what is between two tags is the value as it is. Where the form does not say whether it is a text, a
value that begins like an object, a list or a text is one, numbers and truth values are read as such, and the rest are texts.
"""

from __future__ import annotations

import html
import json
import re

from seal_env.self_edits.call_forms import json_calls
from seal_env.self_edits.call_forms.cursor import NAME, Call, Cursor, either_bar
from seal_env.self_edits.untrusted_json import JSON, loads, shown
from seal_env.thoughts import WHITE_SPACE, UnreadableError

_WORDS: dict[str, JSON] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_NUMBER = re.compile(r"-?[0-9][0-9.eE+\-]*+")
_INVOKE = re.compile(r'(?P<prefix>(?:[a-z]++:|[|｜]DSML[|｜])?+)invoke[ ]name="(?P<name>[^"<>\n]++)">')
_PARAMETER = re.compile(r'parameter[ ]name="(?P<name>[^"<>\n]++)"(?:[ ]string="(?P<string>true|false)")?+>')
_TAG = re.compile(
    r"(?:parameter|invoke|function|arg_key|arg_value|tool_calls?|argument)(?:>|[ =][^<>\n]{0,80}+>|<\|sep\|>)"
    r"|<\|(?:open|close)\|>"
)
"""What a text between tags never has: a tag of calls, whole or without its beginning."""
_TEXT, _NO_TEXT = "text", "no text"


def function(cursor: Cursor) -> list[Call]:
    """`NAME>`, parameters or an object, and `</function>` (Qwen3-Coder, Seed-OSS; Llama 3.1, Functionary)."""
    name = cursor.name()
    cursor.expect(">")
    cursor.skip_space()
    if cursor.at("{"):
        arguments = cursor.json()
        cursor.expect("</function>")
        return [{"name": name, "arguments": arguments}]
    values: Call = {}
    while not cursor.take("</function>"):
        cursor.expect("<parameter=")
        key = cursor.name()
        cursor.expect(">")
        _add(values, key, _value(cursor.until("</parameter>")))
    return [{"name": name, "arguments": values}]


def functions(cursor: Cursor, end: str) -> list[Call]:
    """Calls as `function` reads them, and the mark that ends them."""
    calls: list[Call] = []
    while not cursor.take(end):
        cursor.expect("<function=")
        calls += function(cursor)
    return calls


def tool_call(cursor: Cursor) -> list[Call]:
    """What follows `<tool_call>`: JSON (Hermes, Qwen), functions (Qwen3-Coder), or NAME and keys with values (GLM-4.5)."""
    end = "</tool_call>"
    cursor.skip_space()
    if cursor.at("{", "[", "```"):
        return json_calls.open_block(cursor, "<tool_call>", end)
    if cursor.at("<function="):
        return functions(cursor, end)
    name, values = cursor.name(), Call()
    while not cursor.take(end):
        cursor.expect("<arg_key>")
        key = cursor.until("</arg_key>").strip(WHITE_SPACE)
        cursor.expect("<arg_value>")
        _add(values, key, _value(cursor.until("</arg_value>")))
    return [{"name": name, "arguments": values}]


def invokes(cursor: Cursor, end: str) -> list[Call]:
    """Calls in `<invoke name="NAME">`, and the mark that ends them."""
    calls: list[Call] = []
    while not cursor.take(end):
        cursor.expect("<")
        calls += invoke(cursor)
    return calls


def invoke(cursor: Cursor) -> list[Call]:
    """What follows the `<` of `<invoke name="NAME">`: parameters and `</invoke>`, all with one prefix."""
    opened = cursor.match(_INVOKE)
    if opened is None:
        raise cursor.error("an invoke with the name of a tool is missing")
    prefix, values = opened["prefix"], Call()
    while not cursor.take(f"</{prefix}invoke>"):
        cursor.expect(f"<{prefix}")
        parameter = cursor.match(_PARAMETER)
        if parameter is None:
            raise cursor.error("a parameter with a name is missing")
        kind = {"true": _TEXT, "false": _NO_TEXT}.get(parameter["string"] or "", "")
        _add(values, parameter["name"], _value(cursor.until(f"</{prefix}parameter>"), kind))
    return [{"name": opened["name"], "arguments": values}]


def atem(cursor: Cursor) -> list[Call]:
    """Calls as `invoke` reads them, their end, and that of the message of Muse Glimmer, if it is there."""
    calls = invokes(cursor, "</atem:function_calls>")
    cursor.take("<|eom|>")
    return calls


def step3(cursor: Cursor) -> list[Call]:
    """A section of calls, each an invoke between its marks."""
    calls: list[Call] = []
    while not cursor.take(*either_bar("<｜tool_calls_end｜>")):
        cursor.expect(*either_bar("<｜tool_call_begin｜>"))
        cursor.expect("function")
        cursor.expect(*either_bar("<｜tool_sep｜>"))
        cursor.expect("<")
        calls += invoke(cursor)
        cursor.expect(*either_bar("<｜tool_call_end｜>"))
    return calls


_CALL = re.compile(r'call[ ]tool="(?P<name>[^"]++)"(?:[ ]\w++="[^"]*+")*+<\|sep\|>')
_ARGUMENT = re.compile(r'argument[ ]key="(?P<key>[^"]++)"(?:[ ]type="(?P<type>\w++)")?+<\|sep\|>')


def kimi_k3(cursor: Cursor) -> list[Call]:
    """A section of calls with typed arguments, between marks that open and close."""
    calls: list[Call] = []
    while not cursor.take("<|close|>tools<|sep|>"):
        cursor.expect("<|open|>")
        opened = cursor.match(_CALL)
        if opened is None:
            raise cursor.error("a call with the name of a tool is missing")
        values: Call = {}
        while not cursor.take("<|close|>call<|sep|>"):
            cursor.expect("<|open|>")
            argument = cursor.match(_ARGUMENT)
            if argument is None:
                raise cursor.error("an argument with a key is missing")
            kind = {"string": _TEXT, None: ""}.get(argument["type"], _NO_TEXT)
            _add(values, html.unescape(argument["key"]), _value(cursor.until("<|close|>argument<|sep|>"), kind))
        calls.append({"name": html.unescape(opened["name"]), "arguments": values})
    return calls


_MARK = "\0"
_GEMMA_KEY = re.compile(r"(?<=[{,])\s*+([A-Za-z_]\w*+)\s*+:")


def gemma(cursor: Cursor, quote: str, end: str) -> list[Call]:
    """`call:NAME{KEY:VALUE}`: JSON with bare keys, and marks for quotes (FunctionGemma, Gemma 4)."""
    cursor.expect("call:")
    name = cursor.name()
    cursor.skip_space()
    parts = cursor.until(end).split(quote)
    bare, texts = _MARK.join(parts[::2]), iter(parts[1::2])
    if len(parts) % 2 == 0 or bare.count(_MARK) != len(parts) // 2:
        raise cursor.error(f"{quote} is missing")
    keyed = _GEMMA_KEY.sub(r'"\1":', bare)
    return [{"name": name, "arguments": _json(re.sub(_MARK, lambda _: json.dumps(next(texts)), keyed))}]


def _add(values: Call, key: str, value: JSON) -> None:
    if not NAME.fullmatch(key) or key in values:
        raise UnreadableError(f"{shown(key, 40)} is not a new argument")
    values[key] = value


def _value(text: str, kind: str = "") -> JSON:
    bare = text.strip(WHITE_SPACE)
    if kind != _TEXT and (kind == _NO_TEXT or bare[:1] in ("{", "[", '"')):
        return _json(bare)
    if _TAG.search(text):
        raise UnreadableError("the end of an argument is missing")
    if kind == _TEXT:
        return text
    try:
        return _WORDS[bare] if bare in _WORDS else loads(bare) if _NUMBER.fullmatch(bare) else bare
    except ValueError:
        return bare


def _json(text: str) -> JSON:
    try:
        return loads(text)
    except ValueError as error:
        raise UnreadableError(f"the value of an argument is not JSON: {error}") from None
