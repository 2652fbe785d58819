"""Every tool by name, and the schemas of a set of tools in the forms that agents and engines want.

All schemas are derived from the tools' pydantic models; none is written down a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from seal_env.errors import SettingError
from seal_env.tools.arc.augment import AUGMENT
from seal_env.tools.base import Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.tools.schema import Schema, arguments_schema
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.relations import RELATIONS
from seal_env.tools.text.rewrite import REWRITE
from seal_env.tools.text.self_qa import SELF_QA

TOOLS: Mapping[str, Tool[Any]] = MappingProxyType(
    {tool.name: tool for tool in (AUGMENT, IMPLICATIONS, REWRITE, SELF_QA, RELATIONS, TRAINING, FINETUNE)}
)
ARC_TOOLS = ("augment", "training", "finetune")
KNOWLEDGE_TOOLS = ("implications", "rewrite", "self_qa", "relations", "training", "finetune")
TOOLS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType({"arc": ARC_TOOLS, "knowledge": KNOWLEDGE_TOOLS})
"""The tools of each domain."""
MAX_CALLS = 32
"""Most tool calls in one action."""


def get_tools(names: Sequence[str]) -> tuple[Tool[Any], ...]:
    """The named tools, in that order. Raises SettingError for a name that is not in TOOLS."""
    for name in names:
        if name not in TOOLS:
            raise SettingError("tools", name, f"one of {', '.join(TOOLS)}")
    return tuple(TOOLS[name] for name in names)


def json_schemas(names: Sequence[str]) -> dict[str, Schema]:
    """Tool name -> JSON Schema (Draft 2020-12) of its arguments."""
    return {tool.name: arguments_schema(tool.arguments) for tool in get_tools(names)}


def openai_tools(names: Sequence[str]) -> list[dict[str, Any]]:
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
        for tool in get_tools(names)
    ]


def self_edit_schema(names: Sequence[str]) -> Schema:
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
        for name, schema in json_schemas(names).items()
    ]
    return {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": MAX_CALLS}
