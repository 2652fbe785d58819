"""The schemas of a set of tools in the forms that agents and servers want.

All schemas are derived from the tools' pydantic models; none is written down a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seal_env.tools.base import Tool
from seal_env.tools.schema import Schema, arguments_schema

MAX_CALLS = 32
"""Most tool calls in one action."""


def json_schemas(tools: Sequence[Tool[Any]]) -> dict[str, Schema]:
    """Tool name -> JSON Schema (Draft 2020-12) of its arguments."""
    return {tool.name: arguments_schema(tool.arguments) for tool in tools}


def openai_tools(tools: Sequence[Tool[Any]]) -> list[dict[str, Any]]:
    """The `tools` list of OpenAI's chat API and of Hugging Face chat templates: strict function tools."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": arguments_schema(tool.arguments),
                "strict": True,
            },
        }
        for tool in tools
    ]


def self_edit_schema(tools: Sequence[Tool[Any]]) -> Schema:
    """JSON Schema of a whole action, a list of tool calls, for guided decoding (vLLM's `structured_outputs`).

    It does not say that finetune comes last: grammars of guided decoding cannot, and the compiler does.
    """
    calls = [
        {
            "type": "object",
            "properties": {"name": {"type": "string", "enum": [name]}, "arguments": schema},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name, schema in json_schemas(tools).items()
    ]
    return {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": MAX_CALLS}
