"""Tools from outside the package, and the schemas of a set of tools in the forms that agents and servers want.

A domain lists its own tools (`seal_env.domains`). All schemas are derived from the tools' pydantic models; none is written
down a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.tools.base import Tool
from seal_env.tools.schema import Schema, arguments_schema

MAX_CALLS = 32
"""Most tool calls in one action."""
ENTRY_POINTS: Final = "seal_env.tools"
"""The group in which other packages name a Tool."""
_REGISTERED: Final[dict[str, Tool[Any]]] = {}


def register_tool(tool: Tool[Any]) -> None:
    """Make a tool from outside the package known, so that the setting `tools` can name it.

    Args:
        tool: Any tool; entry points in the group `seal_env.tools` are registered by themselves.

    Raises:
        SettingError: If another tool was registered by this name.
    """
    if _REGISTERED.setdefault(tool.name, tool) is not tool:
        raise SettingError("name", tool.name, f"a name other than {', '.join(_REGISTERED)}")


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        register_tool(point.load())


def choose_tools(own: Sequence[Tool[Any]], names: Sequence[str] | None) -> tuple[Tool[Any], ...]:
    """The tools of an environment.

    Args:
        own: The domain's.
        names: Of the domain's and of registered ones, in order; None takes the domain's as they are.

    Raises:
        SettingError: For an unknown name, or unless `finetune` is the last.
    """
    if names is None:
        return tuple(own)
    _load_entry_points()
    known = {**_REGISTERED, **{tool.name: tool for tool in own}}
    for name in names:
        if name not in known:
            raise SettingError("tools", name, f"some of {', '.join(known)}")
    if len(set(names)) < len(names) or list(names)[-1:] != ["finetune"]:
        raise SettingError("tools", list(names), "different names, of which finetune is the last")
    return tuple(known[name] for name in names)


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
