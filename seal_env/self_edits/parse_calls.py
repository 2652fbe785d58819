"""Read an agent's action: every accepted form -> tool calls, or what is wrong with it.

The forms: (1) a list of {"name", "arguments"}; (2) one such object, or one a line; (3) an OpenAI assistant message, its
`tool_calls`, or Responses items; (4) the paper's {"data_generation", "training"}, which implies `finetune`; (5) what the
chat templates of model families write, see `call_forms.table`. Forms 1 to 4 are bare JSON or one fenced block; other text
around JSON is refused, because guessing where it begins would make two readings possible. Thoughts before an answer are no
part of it. Whatever the action is, this returns; names and arguments are checked later, against the tools.
"""

from __future__ import annotations

import re
from itertools import islice

from seal_env.self_edits.call_forms.cursor import Cursor
from seal_env.self_edits.call_forms.json_calls import sequence
from seal_env.self_edits.call_forms.table import begins_with_call, first_mark, read_calls
from seal_env.self_edits.untrusted_json import JSON, check_length, cut, loads, plain, shown
from seal_env.thoughts import WHITE_SPACE, UnreadableError, after_thoughts, has_thought
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

MAX_REASON = 400
"""Most characters in the reason of an InvalidSelfEdit."""

_FENCE = re.compile(r"`{3,}+|^[ \t]*+~{3,}+(?=\w*+[ \t]*+$)", re.MULTILINE)
_FENCE_BEGINS = re.compile(r"```|^[ \t]*+~{3,}+(?:\w++[ \t]*+$|[ \t]*+\n\s*+[\[{<])", re.MULTILINE)
"""A line of tildes alone is a fence only around something that begins like calls."""
CALL_FORM = 'a list of tool calls, each with "name" and "arguments"'
_NAME_KEYS = ("name", "tool_name", "recipient_name", "tool", "action", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input")
_OTHER_KEYS = {"id", "type", "call_id", "tool_call_id", "status", "index"}
_WRAPPERS = ("function", "functionCall", "function_call")
"""Keys of a call under which there may be an object with its name and arguments: OpenAI, Gemini."""
_JSON_BLOCKS = ("", "json", "jsonl", "jsonc", "json5", "tool_call", "tool_calls")
_OTHER_BLOCKS = ("tool_code", "python", "py", "xml", "tool_call", "tool_calls")
"""Languages of fenced blocks with JSON, and of those with calls in other forms."""
_THOUGHTS = ("reasoning", "thinking")
_SPEECH = ("message", "text", "output_text", *_THOUGHTS)
_NAMESPACES = ("functions.", "default_api.")
_BEGINS_CALLS = re.compile(r"\[TOOL_(?:CALLS|REQUEST)\]|\[\s*+[A-Za-z_][\w.]*+\(")
LIKE_A_CALL = re.compile(
    r"""\{\s*+\\*+["'](?:name|function|tool_name|recipient_name|tool|tool_calls|arguments|parameters|data_generation)\\*+["']\s*+:
    |^[ \t]*+\[?+(?:print\(\[?+)?+[A-Za-z_][\w.]*+\(
        (?:\w++[ ]*+=[ ]*+(?:[\["'{]|True|False|None|true|false|null)|\{[ ]*+["'}])
    |^[ \t]*+\[?+(?:print\(\[?+)?+[A-Za-z_][\w.]*+\((?:\w++[ ]*+=[ ]*+[0-9.eE+\-]++[ ,]*+)*+\)[\]), ;\t]*+$
    |^[ \t]*+[A-Za-z_][\w.]*+(?::[0-9]++)?+(?:[ \t]*+\n)?+\{[ ]*+["}]
    |</?+[|｜](?:DSML|open|close|sep|call|message|channel|constrain|recipient|plugin|python_tag|(?:tool|action)[\w▁]*+)[|｜]
    |<(?:[/|｜]|think|tool_c|function)[\w|｜▁:]*+\Z""",
    re.VERBOSE | re.MULTILINE,
)
"""What begins like a call that has no mark, in JSON, in Python on a line of its own, or as a name and an object; marks that
stand within calls; a mark that is cut off."""
CALL_IN_WORDS = re.compile(r"\b[A-Za-z_]\w*+\((?:\)|\w++[ ]?=)")
"""A call in Python, which plain text may name, but not words beside a fenced block."""


class _MistakeError(Exception):
    """What the agent got wrong, on its way up to `parse`."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome, self.reason = outcome, reason


def parse(action: object) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """Read an action in any accepted form. Never raises.

    Args:
        action: a text, or a JSON value that is parsed already. Bytes and arrays are neither.

    Returns:
        At least one tool call; or NOT_JSON for what is not JSON, and for JSON in none of the accepted forms, or
        INVALID_ARGUMENTS for more than MAX_CALLS calls and for arguments that are no object.
    """
    try:
        return _calls(_value(action))
    except _MistakeError as mistake:
        return invalid(mistake.outcome, mistake.reason)


def invalid(outcome: Outcome, reason: str) -> InvalidSelfEdit:
    """An InvalidSelfEdit whose reason is one line of bounded length."""
    return InvalidSelfEdit(outcome, cut(" ".join(reason.split()), MAX_REASON))


def holds_a_call(text: str) -> bool:
    """Whether a text has the mark of a form of tool calls or of a thought, or something that begins like a call."""
    return first_mark(text) is not None or has_thought(text) or LIKE_A_CALL.search(text) is not None


def has_fence(text: str) -> bool:
    """Whether a fenced block of Markdown begins in a text."""
    return _FENCE_BEGINS.search(text) is not None


def _value(action: object) -> JSON:
    try:
        if isinstance(action, str):
            text = str.__str__(action)
            check_length(text)
            return _text_value(after_thoughts(text))
        if isinstance(action, dict | list | tuple):
            return plain(action)
    except UnreadableError as error:
        reason = f"The answer has tool calls or thoughts that cannot be read: {error}. Reply with {CALL_FORM}."
        raise _MistakeError(Outcome.NOT_JSON, reason) from None
    except ValueError as error:
        raise _MistakeError(Outcome.NOT_JSON, f"The answer is not JSON: {error}. Reply with {CALL_FORM}.") from None
    kind = cut(type(action).__name__, 60)
    raise _MistakeError(Outcome.NOT_JSON, f"The answer is not JSON: it is of type {kind}, not text. Reply with {CALL_FORM}.")


def _text_value(text: str) -> JSON:
    """The calls that an answer has, as JSON."""
    if not text:
        raise ValueError("it is empty")
    if text[0] in "[{" and not _BEGINS_CALLS.match(text):
        return _json_value(text)
    mark, fence = 0 if begins_with_call(text) else first_mark(text), _FENCE_BEGINS.search(text)
    if fence is None or (mark is not None and mark < fence.start()):
        calls = read_calls(text)
        if calls is not None:
            return [*calls]
    return _fenced_value(text)


def _json_value(text: str) -> JSON:
    """JSON, or several objects one after the other."""
    try:
        return loads(text)
    except ValueError:
        if text[:1] == "{":
            try:
                return [*sequence(Cursor(text))]
            except UnreadableError:
                pass
        raise


def _fenced_value(text: str) -> JSON:
    """The only fenced block of an answer: JSON, or calls in a form, around which there are words but no other calls."""
    fences = list(islice(_FENCE.finditer(text), 3))
    if len(fences) > 2:
        raise ValueError("it has more than one fenced block")
    begin, end = (
        (fences[0].span(), fences[1].span()) if len({each[0] for each in fences}) < len(fences) else ((0, 0), (0, 0))
    )
    language, line_end, block = text[begin[1] : end[0]].partition("\n")
    block, known = block.strip(WHITE_SPACE), language.strip().lower() if line_end else None
    calls = read_calls(block) if known in _OTHER_BLOCKS and block[:1] != "{" else None
    if calls is None and known not in _JSON_BLOCKS:
        raise ValueError(f"it begins with {shown(text, 40)}, not with [ or {{")
    if any(holds_a_call(words) or CALL_IN_WORDS.search(words) for words in (text[: begin[0]], text[end[1] :])):
        raise UnreadableError("there may be another call beside the fenced block")
    return _json_value(block) if calls is None else [*calls]


def _calls(value: JSON) -> tuple[ToolCall, ...]:
    if isinstance(value, dict):
        if "tool_calls" in value or "role" in value:
            return _message_calls(value)
        if set(value) == {"tool_uses"}:
            return _calls(value["tool_uses"])
        if "data_generation" in value:
            return _paper_calls(value)
        value = [value]
    if not isinstance(value, list):
        raise _not_calls(f"it is {shown(value, 40)}")
    items = [item for item in value if not (isinstance(item, dict) and _is_speech(item))]
    if not items:
        raise _not_calls("there is no tool call in it")
    if len(items) > MAX_CALLS:
        raise _MistakeError(Outcome.INVALID_ARGUMENTS, f"There are {len(items)} tool calls; at most {MAX_CALLS} are read.")
    return tuple(_call(item, number) for number, item in enumerate(items, 1))


def _is_speech(item: dict[str, JSON]) -> bool:
    """Whether an item is words or a thought between calls. Words in which there may be a call are a mistake."""
    if item.get("type") not in _SPEECH:
        return False
    if any(key in item for key in (*_NAME_KEYS, *_ARGUMENT_KEYS, *_WRAPPERS, "tool_calls")):
        raise _not_calls(f"an item of type {shown(item['type'], 40)} has the keys of a call")
    if item["type"] not in _THOUGHTS:
        for words in (item.get("text"), item.get("content")):
            _check_beside(words)
    return True


def _not_calls(why: str) -> _MistakeError:
    return _MistakeError(Outcome.NOT_JSON, f"The answer is JSON but not {CALL_FORM}: {why}.")


def _paper_calls(value: dict[str, JSON]) -> tuple[ToolCall, ...]:
    if set(value) != {"data_generation", "training"}:
        keys = shown(", ".join(value))
        raise _not_calls(f'an object with "data_generation" has "training" and nothing else, but its keys are {keys}')
    augment = ToolCall("augment", _arguments(value["data_generation"], "data_generation"))
    training = ToolCall("training", _arguments(value["training"], "training"))
    return (augment, training, ToolCall("finetune", {}))


def _message_calls(message: dict[str, JSON]) -> tuple[ToolCall, ...]:
    """Tool calls of an assistant message; one without any may have written them as its content."""
    if message.get("role", "assistant") != "assistant":
        raise _not_calls(f'a message needs the role "assistant", not {shown(message["role"], 40)}')
    calls, content, old = message.get("tool_calls"), message.get("content"), message.get("function_call")
    if (calls and old) or any(key in message for key in (*_ARGUMENT_KEYS, "data_generation", "tool_uses")):
        raise _not_calls("a message has calls in two places")
    calls = calls or ([old] if old else None)
    if isinstance(calls, list) and calls:
        _check_beside(content)
        return _calls(calls)
    if not calls and isinstance(content, list):
        return _calls(content)
    if not calls and isinstance(content, str):
        return _calls(_value(content))  # ends: each message inside a message needs twice the backslashes
    raise _not_calls("the message has neither a list of tool calls nor text")


def _check_beside(content: JSON) -> None:
    """Refuse words, or parts of a message, in which there may be calls beside those that its server read."""
    if isinstance(content, str):
        try:
            lost = holds_a_call(after_thoughts(content))
        except UnreadableError:
            lost = True
    else:
        lost = isinstance(content, list) and not all(isinstance(part, dict) and _is_speech(part) for part in content)
    if lost:
        raise _MistakeError(Outcome.NOT_JSON, "The message has tool calls, and others or a thought in its text.")


def _call(item: JSON, number: int) -> ToolCall:
    if not isinstance(item, dict):
        raise _not_calls(f"item {number} is {shown(item, 40)}")
    wrapped = [each for each in map(item.get, _WRAPPERS) if isinstance(each, dict)]
    outside = [key for key in (*_NAME_KEYS, *_ARGUMENT_KEYS) if key not in _WRAPPERS and item.get(key) is not None]
    if len(wrapped) > 1 or (wrapped and outside):
        raise _not_calls(f"item {number} has two calls in one")
    if item.get("type") == "function_call" and not wrapped:
        return _named(item.get("name"), item.get("arguments"), "name", number)
    inner = wrapped[0] if wrapped else None
    if inner is not None and sum(key in inner for key in _ARGUMENT_KEYS) > 1:
        raise _not_calls(f"item {number} has arguments in two places")
    if inner is not None and "arguments" in inner:  # an API may say more about a call
        return _named(inner.get("name"), inner["arguments"], "name", number)
    item = item if inner is None else inner
    names = [key for key in _NAME_KEYS if key in item]
    arguments = [key for key in _ARGUMENT_KEYS if key in item]
    for extra in item:
        if extra not in (*names[:1], *arguments[:1], *_OTHER_KEYS):
            raise _not_calls(f"item {number} has the unknown key {shown(extra, 40)}")
    if not names:
        raise _not_calls(f'the "name" of item {number} is null')
    return _named(item[names[0]], item[arguments[0]] if arguments else None, names[0], number)


def _named(name: JSON, arguments: JSON, key: str, number: int) -> ToolCall:
    if not isinstance(name, str):
        raise _not_calls(f'the "{key}" of item {number} is {shown(name, 40)}')
    name = next((name.removeprefix(each) for each in _NAMESPACES if name.startswith(each)), name)
    return ToolCall(name, _arguments(arguments, name))


def _arguments(value: JSON, owner: str) -> dict[str, JSON]:
    """Arguments as an object; a JSON text is read, also one that was encoded twice, and nothing at all means none."""
    if value is None or value == "":
        return {}
    try:
        for _ in range(2):
            value = loads(value) if isinstance(value, str) else value
    except ValueError as error:
        reason = f"The arguments of {shown(owner, 40)} are not JSON: {error}."
        raise _MistakeError(Outcome.INVALID_ARGUMENTS, reason) from None
    if not isinstance(value, dict):
        reason = f"The arguments of {shown(owner, 40)} are {shown(value, 40)}; expected an object."
        raise _MistakeError(Outcome.INVALID_ARGUMENTS, reason)
    return value
