"""Example arguments of a tool, for the example action of the prompt: what the model declares, or else derived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seal_env.tools.base import Tool
from seal_env.tools.number_range import reals, wholes
from seal_env.tools.schema import declared_schema

_FILLER = "text "


def example_arguments(tool: Tool[Any]) -> dict[str, Any]:
    """One legal value for each argument.

    The first of `Field(examples=[...])`, else the default, else one that the schema allows: the first choice, true, the
    middle of a range, the shortest text or list that is not empty. A text with a pattern needs an example of its own.
    """
    arguments: dict[str, Any] = _example(declared_schema(tool))
    return arguments


def _example(schema: Mapping[str, Any]) -> Any:
    for declared in (schema.get("examples", ()), [schema["default"]] if "default" in schema else (), schema.get("enum", ())):
        for value in declared:
            return value
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0])
    kind = schema["type"]
    if kind == "object":
        return {name: _example(value) for name, value in schema["properties"].items()}
    if kind == "array":
        return [_example(schema["items"])] * min(max(schema.get("minItems", 0), 1), schema.get("maxItems", 1))
    if kind == "string":
        least = max(schema.get("minLength", 0), len(_FILLER) - 1)
        return (_FILLER * least)[: min(least, schema.get("maxLength", least))]
    if kind == "integer":
        numbers = wholes(schema)
        return numbers[len(numbers) // 2]
    return {"boolean": True, "null": None}[kind] if kind != "number" else reals(schema).at(0.5)
