"""The JSON Schema (Draft 2020-12) of a tool's arguments, derived from its pydantic model, and its legal values in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seal_env.tools.base import Arguments

Schema = dict[str, Any]


def arguments_schema(arguments: type[Arguments]) -> Schema:
    """Schema of a tool's arguments: an object with no other properties, all of them required (OpenAI's strict mode).

    Titles and the model's docstring are left out: they repeat the names and are not meant for the reader of a prompt.
    """
    derived = arguments.model_json_schema()
    return _object(derived, derived.get("$defs", {}))


def _object(schema: Mapping[str, Any], models: Mapping[str, Any]) -> Schema:
    properties = {name: _value(value, models) for name, value in schema.get("properties", {}).items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _value(schema: Mapping[str, Any], models: Mapping[str, Any]) -> Schema:
    """One value's schema; a model within is written out where it is referred to."""
    if "$ref" in schema:
        return _object(models[schema["$ref"].rpartition("/")[2]], models)
    kept = {key: value for key, value in schema.items() if key != "title"}
    return kept | {"items": _value(kept["items"], models)} if "items" in kept else kept


def legal_values(schema: Mapping[str, Any]) -> str:
    """What one argument may be, in words: `a whole number from 0 to 20`."""
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if schema["type"] == "boolean":
        return "true or false"
    if schema["type"] == "array":
        return f"a list of {schema['minItems']} to {schema['maxItems']}, each {legal_values(schema['items'])}"
    if schema["type"] == "object":
        fields = (f"{name} ({legal_values(value)})" for name, value in schema["properties"].items())
        return f"an object with {', '.join(fields)}"
    if schema["type"] == "string":
        return f"a text of at most {schema['maxLength']} characters"
    noun = {"integer": "a whole number", "number": "a number"}.get(schema["type"], f"a value of type {schema['type']}")
    return noun + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']:g} to {schema['maximum']:g}"
    words = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    bounds = [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""
