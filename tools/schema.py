"""The JSON Schema (Draft 2020-12) of a tool's arguments, derived from its pydantic model, and its legal values as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.tools.base import SAMPLE_RANGE, Tool

Schema = dict[str, Any]

SCALARS: Final = ("boolean", "integer", "number", "string", "null")
MAX_NESTING: Final = 8
_UNPUBLISHED: Final = ("title", "default", "examples", SAMPLE_RANGE)


def arguments_schema(tool: Tool[Any]) -> Schema:
    """The published schema of a tool's arguments: an object without other properties, all required (OpenAI's strict mode).

    Titles and docstrings repeat the names; defaults, examples and sampling ranges are not the reader's matter. None of them
    is in it.

    Raises:
        SettingError: for a field of a type that tools cannot have, see `seal_env.tools.base.Arguments`.
    """
    published: Schema = _published(declared_schema(tool))
    return published


@cache
def declared_schema(tool: Tool[Any]) -> Schema:
    """`arguments_schema` with the defaults, examples and sampling ranges that the model declares. Not to be changed."""
    derived = tool.arguments.model_json_schema()
    return _object(derived, derived.get("$defs", {}), f"{tool.name}.")


def _object(schema: Mapping[str, Any], models: Mapping[str, Any], path: str) -> Schema:
    if path.count(".") > MAX_NESTING:
        raise SettingError("argument", path, f"at most {MAX_NESTING} levels of models within models")
    inner = {name: _value(value, models, f"{path}{name}") for name, value in schema.get("properties", {}).items()}
    return {"type": "object", "properties": inner, "required": list(inner), "additionalProperties": False}


def _value(schema: Mapping[str, Any], models: Mapping[str, Any], path: str) -> Schema:
    """One value's schema; a model or an enumeration is written out where it is referred to."""
    if "$ref" in schema:
        referred = models[schema["$ref"].rpartition("/")[2]]
        found = _value(referred, models, path) if "enum" in referred else _object(referred, models, f"{path}.")
        found.pop("description", None)  # its docstring
        return found | {key: value for key, value in schema.items() if key != "$ref"}
    found = dict(schema)
    if "anyOf" in found:
        found["anyOf"] = [_value(each, models, path) for each in found["anyOf"]]
    elif found.get("type") == "array" and "items" in found and "uniqueItems" not in found:
        found["items"] = _value(found["items"], models, path)
    elif found.get("type") not in SCALARS and "enum" not in found and "const" not in found:
        raise SettingError("argument", path, f"of a type that tools can have, see Arguments, but it is {json.dumps(schema)}")
    return found


def _published(schema: Any) -> Any:
    """A copy without the keywords that are not published; the keys of `properties` are names of arguments."""
    if isinstance(schema, list):
        return [_published(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _published(each) for name, each in value.items()} if key == "properties" else _published(value)
        for key, value in schema.items()
        if key not in _UNPUBLISHED
    }


def legal_values(schema: Mapping[str, Any]) -> str:
    """What an argument may be, as text: `a whole number from 0 to 20`."""
    if "enum" in schema or "const" in schema:
        return " or ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        return " or ".join(map(legal_values, schema["anyOf"]))
    if schema["type"] == "array":
        return f"a list{_size(schema, 'Items')}, each {legal_values(schema['items'])}"
    if schema["type"] == "object":
        fields = (f"{name} ({legal_values(value)})" for name, value in schema["properties"].items())
        return f"an object with {', '.join(fields)}"
    if schema["type"] == "string":
        size, pattern = _size(schema, "Length"), f" that matches {schema['pattern']}" if "pattern" in schema else ""
        return f"a text{size}{' characters' if size else ''}{pattern}"
    if schema["type"] in ("boolean", "null"):
        return {"boolean": "true or false", "null": "null"}[schema["type"]]
    multiple = f", a multiple of {schema['multipleOf']:g}" if "multipleOf" in schema else ""
    return {"integer": "a whole number", "number": "a number"}[schema["type"]] + _bounds(schema) + multiple


def _size(schema: Mapping[str, Any], what: str) -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if least and most is not None:
        return f" of {least} to {most}"
    return f" of at least {least}" if least else f" of at most {most}" if most is not None else ""


def _bounds(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']:g} to {schema['maximum']:g}"
    words = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    bounds = [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""
