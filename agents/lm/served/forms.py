"""The forms of request for a self-edit, strictest first, and how an answer becomes an action."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from seal_env.agents.lm.chat import as_action
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.validate import check_calls
from seal_env.serving.replies import ChatReply
from seal_env.tools.base import Tool
from seal_env.tools.registry import openai_tools, self_edit_schema
from seal_env.types import InvalidSelfEdit

Fields = dict[str, Any]
"""What a form adds to the body of a request."""


def _tools(tools: Sequence[Tool[Any]]) -> Fields:
    return {"tools": openai_tools(tools), "tool_choice": "required", "parallel_tool_calls": True}


def _structured_outputs(tools: Sequence[Tool[Any]]) -> Fields:
    calls = self_edit_schema(tools)["items"]["anyOf"]
    whole = {"type": "array", "prefixItems": calls, "items": False, "minItems": len(calls), "maxItems": len(calls)}
    return {"structured_outputs": {"json": whole}}


def _json_schema(tools: Sequence[Tool[Any]]) -> Fields:
    """OpenAI requires an object at the root and cannot express an order of items."""
    schema = {
        "type": "object",
        "properties": {"tool_calls": self_edit_schema(tools)},
        "required": ["tool_calls"],
        "additionalProperties": False,
    }
    named = {"name": "self_edit", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


PLAIN: Final = "text"
FORMS: Mapping[str, Callable[[Sequence[Tool[Any]]], Fields]] = MappingProxyType(
    {
        "tools": _tools,
        "structured_outputs": _structured_outputs,
        "json_schema": _json_schema,
        PLAIN: lambda tools: {},
    }
)
"""tools: strict function tools, several calls in one answer. structured_outputs: vLLM's field, a list with one call of each
tool in order, a whole self-edit. json_schema: OpenAI's response format, an object with a list of calls. text: the
environment's own prompt and nothing else."""


def action_of(reply: ChatReply) -> str:
    """An answer as an action: the assistant message as JSON if it has tool calls, otherwise its text, see `as_action`."""
    if not reply.tool_calls:
        return as_action(reply.text)
    return json.dumps({"role": "assistant", "content": reply.text or None, "tool_calls": reply.tool_calls})


def not_in_effect(form: str, reply: ChatReply, tools: Sequence[Tool[Any]]) -> str:
    """Why an answer does not show that self-edits can be had in this form; empty if it does.

    A server that ignores a form, or the schema in it, answers all the same; so does a model that does not get to the end.
    """
    if reply.cut_off:
        return "the answer was cut off at max_new_tokens"
    if form == "tools" and not reply.tool_calls:
        return "no tool was called"
    calls = parse(action_of(reply))
    checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, tools)
    if isinstance(checked, InvalidSelfEdit):
        return checked.reason
    return "" if checked[-1][0].name == "finetune" else "the answer is not closed by finetune"
