"""Check tool calls against the tools of an environment: names, order, arguments. Nothing is applied here.

Arguments are checked twice: by jsonschema against the schema that agents are given, whose errors are worded for a language
model, and by pydantic, which makes the typed arguments. Both derive from one model, so the second finds nothing new.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import ValidationError as PydanticError

from seal_env.self_edits.parse_calls import invalid
from seal_env.self_edits.untrusted_json import cut, shown
from seal_env.tools.base import Arguments, Tool
from seal_env.tools.schema import arguments_schema, legal_values
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

CheckedCall = tuple[Tool[Any], Arguments]


def check_calls(calls: Sequence[ToolCall], tools: Sequence[Tool[Any]]) -> tuple[CheckedCall, ...] | InvalidSelfEdit:
    """Each call with its tool and its typed arguments, or the first thing that is wrong with one of them."""
    checked: list[CheckedCall] = []
    by_name = {tool.name: tool for tool in tools}
    for number, call in enumerate(calls, 1):
        if call.name not in by_name:
            return _unknown_tool(call.name, list(by_name))
        if checked and checked[-1][0].name == "finetune":
            reason = f"The call of finetune must be the last one, but call {number} is {call.name}."
            return invalid(Outcome.INVALID_ARGUMENTS, reason)
        tool = by_name[call.name]
        arguments = _check_arguments(tool, dict(call.arguments))
        if isinstance(arguments, InvalidSelfEdit):
            return arguments
        checked.append((tool, arguments))
    return tuple(checked)


def _unknown_tool(name: str, tool_names: Sequence[str]) -> InvalidSelfEdit:
    close = difflib.get_close_matches(name[:40].lower(), tool_names, n=1)
    question = f" Did you mean {close[0]}?" if close else ""
    reason = f"The tool {shown(name, 40)} is not known.{question} The tools are {', '.join(tool_names)}."
    return invalid(Outcome.UNKNOWN_TOOL, reason)


@cache
def _validator(tool: Tool[Any]) -> Draft202012Validator:
    return Draft202012Validator(arguments_schema(tool.arguments))


def _check_arguments(tool: Tool[Any], arguments: dict[str, Any]) -> Arguments | InvalidSelfEdit:
    problem = min(_validator(tool).iter_errors(arguments), key=_rank, default=None)
    if problem is not None:
        return invalid(Outcome.INVALID_ARGUMENTS, _wording(tool, problem))
    try:
        checked: Arguments = tool.arguments.model_validate(arguments)
    except PydanticError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = cut(".".join(map(str, first["loc"])), 60)
        reason = f"The argument {field} of {tool.name} is not valid: {first['msg']}, got {shown(first['input'])}."
        return invalid(Outcome.INVALID_ARGUMENTS, reason)
    return checked


def _rank(problem: ValidationError) -> int:
    """Unknown names first: a misspelt name is a missing one too."""
    return {"additionalProperties": 0, "required": 1}.get(str(problem.validator), 2)


def _wording(tool: Tool[Any], problem: ValidationError) -> str:
    fields, given = arguments_schema(tool.arguments)["properties"], cast(Any, problem.instance)
    if problem.validator == "additionalProperties":
        unknown = next(name for name in given if name not in fields)
        takes = f"it takes {', '.join(fields)}" if fields else "it takes no arguments"
        return f"The argument {shown(unknown, 40)} of {tool.name} is not known; {takes}."
    if problem.validator == "required":
        missing = [f"{name} ({legal_values(fields[name])})" for name in fields if name not in given]
        return f"The tool {tool.name} needs {', '.join(missing)} too."
    field = str(problem.absolute_path[0])
    return f"The argument {field} of {tool.name} is not valid: expected {legal_values(fields[field])}, got {shown(given)}."
