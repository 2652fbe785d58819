"""The schemas of a set of tools in the forms that agents and servers want, and tools from outside the package.

All schemas are derived from the tools' pydantic models; none is written down a second time. A domain lists its own tools. A
tool from outside is registered, or named by an entry point of the group `seal_env.tools`, and then selected by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.tools.base import Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.schema import Schema, arguments_schema, declared_schema

ENTRY_POINTS: Final = "seal_env.tools"
MAX_CALLS: Final = 32
"""Most tool calls in one action."""

_REGISTERED: Final[dict[str, Tool[Any]]] = {}


def register_tool(tool: Tool[Any]) -> None:
    """Make a tool from outside the package known, so that the setting `tools` can name it.

    Args:
        tool: any tool. Those of entry points in the group `seal_env.tools` are registered by themselves.

    Raises:
        SettingError: if another tool was registered by this name, and for arguments of a type that tools cannot have.
    """
    declared_schema(tool)
    if _REGISTERED.setdefault(tool.name, tool) is not tool:
        raise SettingError("name", tool.name, f"a name other than {', '.join(_REGISTERED)}")


def registered_tools() -> Mapping[str, Tool[Any]]:
    """Tools from outside the package by name.

    Raises:
        SettingError: for an entry point that is not a Tool, and see `register_tool`.
    """
    _load_entry_points()
    return _REGISTERED


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        tool = point.load()
        if not isinstance(tool, Tool):
            raise SettingError(f"entry point {ENTRY_POINTS}", point.value, "a seal_env.tools.base.Tool")
        register_tool(tool)


def choose_tools(
    own: Sequence[Tool[Any]], names: Sequence[str] | None, optional: Sequence[Tool[Any]] = ()
) -> tuple[Tool[Any], ...]:
    """The tools of an environment.

    Args:
        own: the domain's tools; they come before registered ones of the same name.
        names: of the domain's tools, of optional and of registered ones, in the order in which the prompt explains them;
            None takes the domain's as they are.
        optional: further tools of the package; registered ones of the same name come before them.

    Raises:
        SettingError: for an unknown name.
    """
    if names is None:
        return tuple(own)
    known = {**_by_name(optional), **registered_tools(), **_by_name(own)}
    for name in names:
        if name not in known:
            raise SettingError("tools", name, f"some of {', '.join(known)}")
    return tuple(known[name] for name in names)


def _by_name(tools: Sequence[Tool[Any]]) -> dict[str, Tool[Any]]:
    return {tool.name: tool for tool in tools}


def check_tools(tools: Sequence[Tool[Any]], domain: Any) -> None:
    """Check that tools can be offered together, in a domain.

    Args:
        tools: in the order in which the prompt explains them.
        domain: what `EditContext.domain` will be.

    Raises:
        SettingError: for two tools of one name, for finetune not being the last one, for arguments of a type that tools
            cannot have, and for a tool whose `source` the domain is not.
    """
    names = [tool.name for tool in tools]
    if len(set(names)) != len(names) or names[-1:] != [FINETUNE.name]:
        raise SettingError("tools", names, f"different ones, of which {FINETUNE.name} is the last")
    for tool in tools:
        declared_schema(tool)
        if tool.source is not None and not isinstance(domain, tool.source):
            raise SettingError(
                "tools", tool.name, f"tools for {type(domain).__name__}: this one needs {tool.source.__name__}"
            )


def json_schemas(tools: Sequence[Tool[Any]]) -> dict[str, Schema]:
    """Tool name -> JSON Schema (Draft 2020-12) of its arguments."""
    return {tool.name: arguments_schema(tool) for tool in tools}


def openai_tools(tools: Sequence[Tool[Any]]) -> list[dict[str, Any]]:
    """The `tools` list of OpenAI's chat API and of Hugging Face chat templates: strict function tools."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": arguments_schema(tool),
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
