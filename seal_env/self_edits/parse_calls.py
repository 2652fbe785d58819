"""Read an agent's action: every accepted form -> tool calls, or what is wrong with it.

The forms: (1) a list of {"name", "arguments"}; (2) one such object; (3) an OpenAI assistant message, its `tool_calls`, or
Responses items; (4) the paper's {"data_generation", "training"}, which implies `finetune`. The text is bare JSON or holds
one fenced block; other text around JSON is refused, because guessing where it begins would make two readings possible.
Whatever the action is, this returns; names and arguments are checked later, against the tools.
"""

from __future__ import annotations

from seal_env.self_edits.untrusted_json import JSON, WHITE_SPACE, check_length, cut, loads, plain, shown
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

MAX_REASON = 400
"""Most characters in the reason of an InvalidSelfEdit."""

FENCE = "```"
CALL_FORM = 'a list of tool calls, each with "name" and "arguments"'
_CALL_KEYS = {"name", "arguments", "id", "type", "call_id", "status", "index"}
_SPEECH = ("reasoning", "message")


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


def _value(action: object) -> JSON:
    try:
        if isinstance(action, str):
            text = str.__str__(action)
            check_length(text)
            return loads(_json_part(text))
        if isinstance(action, dict | list | tuple):
            return plain(action)
    except ValueError as error:
        raise _MistakeError(Outcome.NOT_JSON, f"The answer is not JSON: {error}. Reply with {CALL_FORM}.") from None
    kind = cut(type(action).__name__, 60)
    raise _MistakeError(Outcome.NOT_JSON, f"The answer is not JSON: it is of type {kind}, not text. Reply with {CALL_FORM}.")


def _json_part(text: str) -> str:
    text = text.strip(WHITE_SPACE)
    if not text:
        raise ValueError("it is empty")
    if text[0] in "[{":
        return text
    parts = text.split(FENCE)
    if len(parts) == 3:
        language, line_end, block = parts[1].partition("\n")
        if line_end and language.strip().lower() in ("", "json"):
            return block
    if len(parts) > 3:
        raise ValueError("it has more than one fenced block")
    raise ValueError(f"it begins with {shown(text, 40)}, not with [ or {{")


def _calls(value: JSON) -> tuple[ToolCall, ...]:
    if isinstance(value, dict):
        if "tool_calls" in value or "role" in value:
            return _message_calls(value)
        if "data_generation" in value:
            return _paper_calls(value)
        value = [value]
    if not isinstance(value, list):
        raise _not_calls(f"it is {shown(value, 40)}")
    items = [item for item in value if not (isinstance(item, dict) and item.get("type") in _SPEECH)]
    if not items:
        raise _not_calls("there is no tool call in it")
    if len(items) > MAX_CALLS:
        raise _MistakeError(Outcome.INVALID_ARGUMENTS, f"There are {len(items)} tool calls; at most {MAX_CALLS} are read.")
    return tuple(_call(item, number) for number, item in enumerate(items, 1))


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
    calls, content = message.get("tool_calls"), message.get("content")
    if isinstance(calls, list) and calls:
        return _calls(calls)
    if not calls and isinstance(content, str):
        return _calls(_value(content))  # ends: each message inside a message needs twice the backslashes
    raise _not_calls("the message has neither a list of tool calls nor text")


def _call(item: JSON, number: int) -> ToolCall:
    if not isinstance(item, dict):
        raise _not_calls(f"item {number} is {shown(item, 40)}")
    if item.get("type") != "function_call" and "function" in item:
        function = item["function"]
        if not isinstance(function, dict):
            raise _not_calls(f'"function" of item {number} is {shown(function, 40)}')
        item = {"name": function.get("name"), "arguments": function.get("arguments")}
    elif item.get("type") != "function_call" and not set(item) <= _CALL_KEYS:
        extra = next(key for key in item if key not in _CALL_KEYS)
        raise _not_calls(f"item {number} has the unknown key {shown(extra, 40)}")
    name = item.get("name")
    if not isinstance(name, str):
        raise _not_calls(f'the "name" of item {number} is {shown(name, 40)}')
    return ToolCall(name, _arguments(item.get("arguments"), name))


def _arguments(value: JSON, owner: str) -> dict[str, JSON]:
    """Arguments as an object; a JSON text is read, and nothing at all means none."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = loads(value)
        except ValueError as error:
            reason = f"The arguments of {shown(owner, 40)} are not JSON: {error}."
            raise _MistakeError(Outcome.INVALID_ARGUMENTS, reason) from None
    if not isinstance(value, dict):
        reason = f"The arguments of {shown(owner, 40)} are {shown(value, 40)}; expected an object."
        raise _MistakeError(Outcome.INVALID_ARGUMENTS, reason)
    return value
