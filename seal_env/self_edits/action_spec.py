"""What the actions of an environment may be: which tools, in which form, and the ranges that random ones are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from seal_env.errors import SettingError
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.validate import check_arguments, check_calls
from seal_env.tools.base import Tool
from seal_env.tools.example import example_arguments
from seal_env.tools.number_range import Range, reals, wholes
from seal_env.tools.schema import declared_schema, legal_values
from seal_env.types import InvalidSelfEdit, ToolCall

WORDS: Final = (
    *("a", "the", "of", "in", "is", "was", "and", "it", "who", "when", "where"),
    *("what", "old", "new", "first", "many", "people", "has", "made", "called", "near"),
)
WORDS_OF_A_TEXT: Final = 6
MORE_ITEMS: Final = 2
"""A drawn list has so many items more than it must have, at most."""
TRIES: Final = 100
"""Draws of a tool's arguments until they are valid: a model may validate more than its schema does."""


@dataclass(frozen=True)
class ActionSpec:
    """What an action may be.

    Attributes:
        tools: those that may be called, in the order in which `sample` calls them.
        ranges: (low, high) of numeric arguments, narrower than what the tool declares; keys are TOOL.ARGUMENT, or
            TOOL.ARGUMENT.FIELD within a nested argument.
        plain_text: whether plain text is an action too, see `parse_text`.
    """

    tools: tuple[Tool[Any], ...]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    plain_text: bool = False

    def __post_init__(self) -> None:
        """Raises SettingError for a range of no numeric argument, or with a bound that its tool refuses."""
        numbers = {path: schema for tool in self.tools for path, schema in numeric_arguments(tool)}
        for path, (low, high) in self.ranges.items():
            if path not in numbers:
                raise SettingError("ranges", path, f"some of {', '.join(numbers)}")
            if not (low <= high and _is_legal(low, numbers[path]) and _is_legal(high, numbers[path])):
                legal = f"(low, high) with low <= high, each {legal_values(numbers[path])}"
                raise SettingError(f"ranges[{path!r}]", (low, high), legal)

    def parse(self, action: object) -> tuple[ToolCall, ...] | InvalidSelfEdit:
        """Read an action in any accepted form; the calls are not validated yet. Never raises."""
        return (parse_or_read if self.plain_text else parse)(action)

    def contains(self, action: object) -> bool:
        """Whether an action is a text whose calls the tools accept."""
        calls = self.parse(action) if isinstance(action, str) else None
        if calls is None or isinstance(calls, InvalidSelfEdit):
            return False
        return not isinstance(check_calls(calls, self.tools), InvalidSelfEdit)

    def sample(self, rng: np.random.Generator) -> str:
        """Draw a self-edit: one call of each tool, in order.

        Switches and choices are uniform, whole numbers uniform, real numbers uniform or, over a factor of 10 and more,
        log-uniform, with 3 significant digits. Texts are a few random words, since no task is known here.

        Raises:
            SettingError: if no valid arguments of a tool are found, its example included.
        """
        return json.dumps([{"name": tool.name, "arguments": self._draw_arguments(tool, rng)} for tool in self.tools])

    def _draw_arguments(self, tool: Tool[Any], rng: np.random.Generator) -> dict[str, Any]:
        for _ in range(TRIES):
            drawn: dict[str, Any] = self._draw(tool.name, declared_schema(tool), rng)
            if not isinstance(check_arguments(tool, drawn), InvalidSelfEdit):
                return drawn
        example = example_arguments(tool)
        checked = check_arguments(tool, example)
        if isinstance(checked, InvalidSelfEdit):
            raise SettingError("tools", tool.name, f"tools with an example that is valid: {checked.reason}")
        return example

    def _draw(self, path: str, schema: Mapping[str, Any], rng: np.random.Generator) -> Any:
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self._draw(path, schema["anyOf"][int(rng.integers(len(schema["anyOf"])))], rng)
        kind = schema.get("type")
        if "enum" in schema or kind == "boolean":
            choices = schema.get("enum", (False, True))
            return choices[int(rng.integers(len(choices)))]
        if kind == "number":
            return reals(schema, self.ranges.get(path)).at(rng.uniform())
        if kind == "integer":
            numbers = wholes(schema, self.ranges.get(path))
            return numbers[int(rng.integers(len(numbers)))]
        if kind == "array":
            least = schema.get("minItems", 0)
            count = int(rng.integers(least, min(schema.get("maxItems", least + MORE_ITEMS), least + MORE_ITEMS) + 1))
            return [self._draw(path, schema["items"], rng) for _ in range(count)]
        if kind == "object":
            return {name: self._draw(f"{path}.{name}", each, rng) for name, each in schema["properties"].items()}
        return _draw_text(schema, rng) if kind == "string" else None


def numeric_arguments(tool: Tool[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and schema of every number among a tool's arguments; the items of a list have the list's path."""
    return _numbers(tool.name, declared_schema(tool))


def _numbers(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if schema.get("type") in ("integer", "number"):
        yield path, schema
    for name, value in schema.get("properties", {}).items():
        yield from _numbers(f"{path}.{name}", value)
    for value in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from _numbers(path, value)


def _is_legal(value: float, schema: Mapping[str, Any]) -> bool:
    whole = schema["type"] != "integer" or float(value).is_integer()
    return (
        whole
        and schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )


def _draw_text(schema: Mapping[str, Any], rng: np.random.Generator) -> str:
    """Random words; where a text has to have a form, one of the declared examples."""
    if "pattern" in schema or "format" in schema:
        examples = schema.get("examples") or [""]
        return str(examples[int(rng.integers(len(examples)))])
    text, least = _words(rng), schema.get("minLength", 0)
    while len(text) < least:
        text = f"{text} {_words(rng)}"
    return text[: max(schema.get("maxLength", len(text)), 0)]


def _words(rng: np.random.Generator) -> str:
    return " ".join(WORDS[index] for index in rng.integers(len(WORDS), size=WORDS_OF_A_TEXT))
