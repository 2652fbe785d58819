"""Check tool calls against the tools of an environment: names, order, arguments. Nothing is applied here.

Arguments are checked twice: by jsonschema against the published schema, whose errors become reasons that a language model
can act on, and by pydantic, which makes the typed arguments. Both derive from one model, so the second finds nothing new
unless the model has validators of its own.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import ValidationError as PydanticError

from seal_env.self_edits.parse_calls import invalid
from seal_env.self_edits.untrusted_json import cut, shown
from seal_env.tools.base import Arguments, Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.schema import arguments_schema, legal_values
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

MOST_PROBLEMS: Final = 256
"""Problems of one call that are found before the first to be told is chosen."""

CheckedCall = tuple[Tool[Any], Arguments]


def check_calls(calls: Sequence[ToolCall], tools: Sequence[Tool[Any]]) -> tuple[CheckedCall, ...] | InvalidSelfEdit:
    """Validate tool calls.

    Args:
        calls: as parsed from an action.
        tools: those that may be called.

    Returns:
        Each call as its tool and its typed arguments; or the first thing that is wrong with one of them.
    """
    checked: list[CheckedCall] = []
    by_name = {tool.name: tool for tool in tools}
    for number, call in enumerate(calls, 1):
        if call.name not in by_name:
            return _unknown_tool(call.name, list(by_name))
        if checked and checked[-1][0].name == FINETUNE.name:
            reason = f"The call of finetune must be the last one, but call {number} is {call.name}."
            return invalid(Outcome.INVALID_ARGUMENTS, reason)
        tool = by_name[call.name]
        arguments = check_arguments(tool, call.arguments)
        if isinstance(arguments, InvalidSelfEdit):
            return arguments
        checked.append((tool, arguments))
    return tuple(checked)


def check_arguments(tool: Tool[Any], arguments: Mapping[str, Any]) -> Arguments | InvalidSelfEdit:
    """The typed arguments of one call, or what is wrong with them.

    Args:
        tool: the tool that is called.
        arguments: JSON values by name.
    """
    given = dict(arguments)
    problem = min(islice(_validator(tool).iter_errors(given), MOST_PROBLEMS), key=_rank, default=None)
    if problem is not None:
        return invalid(Outcome.INVALID_ARGUMENTS, _reason(tool, problem))
    try:
        checked: Arguments = tool.arguments.model_validate_json(json.dumps(given))
    except PydanticError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = cut(_path(first["loc"]), 60)
        about = f"The argument {field} of {tool.name} is" if field else f"The arguments of {tool.name} are"
        return invalid(Outcome.INVALID_ARGUMENTS, f"{about} not valid: {first['msg']}, got {shown(first['input'])}.")
    return checked


def _unknown_tool(name: str, tool_names: Sequence[str]) -> InvalidSelfEdit:
    close = difflib.get_close_matches(name[:40].lower(), tool_names, n=1)
    question = f" Did you mean {close[0]}?" if close else ""
    reason = f"The tool {shown(name, 40)} is not known.{question} The tools are {', '.join(tool_names)}."
    return invalid(Outcome.UNKNOWN_TOOL, reason)


def _items(validator: Any, items: Mapping[str, Any], given: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """What is wrong with the items of a list, unless it is too long: that is said already, and each item takes time."""
    if not isinstance(given, list) or len(given) <= schema.get("maxItems", len(given)):
        yield from _ITEMS(validator, items, given, schema)


_ITEMS = Draft202012Validator.VALIDATORS["items"]
_Validator: Any = extend(Draft202012Validator, {"items": _items})  # type: ignore[no-untyped-call]


@cache
def _validator(tool: Tool[Any]) -> Any:
    return _Validator(arguments_schema(tool))


def _rank(problem: ValidationError) -> int:
    """Unknown names first: a misspelt name is a missing one too."""
    return {"additionalProperties": 0, "required": 1}.get(str(problem.validator), 2)


def _reason(tool: Tool[Any], problem: ValidationError) -> str:
    """What is wrong, where, and what would be legal there."""
    schema, given = cast(Any, problem.schema), cast(Any, problem.instance)
    path = _path(problem.absolute_path)
    if problem.validator == "additionalProperties":
        fields = schema["properties"]
        unknown = next(name for name in given if name not in fields)
        takes = f"it takes {', '.join(fields)}" if fields else "it takes no arguments"
        return f"The argument {shown(unknown, 40)} of {_dotted(tool.name, path)} is not known; {takes}."
    if problem.validator == "required":
        missing = [f"{name} ({legal_values(each)})" for name, each in schema["properties"].items() if name not in given]
        owner = f"The argument {path} of {tool.name}" if path else f"The tool {tool.name}"
        return f"{owner} needs {', '.join(missing)} too."
    return f"The argument {path} of {tool.name} is not valid: expected {legal_values(schema)}, got {shown(given)}."


def _path(parts: Iterable[str | int]) -> str:
    """`pairs[0].question`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _dotted(name: str, path: str) -> str:
    return f"{name}.{path}" if path else name
