"""A self-edit in a few words, for a cell of a table, derived from its tool calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seal_env.tools.base import Shorthand, Tool

Calls = Sequence[Mapping[str, Any]]
"""Tool calls as data: `{"name", "arguments"}`."""


def self_edit_short(calls: Calls, tools: Iterable[Tool[Any]] = (), separator: str = ", ") -> str:
    """Write a self-edit in a few words: `basic chain, out 3.2e-04 x2`, `8 implications, 12 self_qa`.

    A tool may bring its own shorthand. Of any other one, lists are counted over all calls, `8 implications`; of its other
    arguments those of the last call are shown: the names of switches that are on, values of choices, numbers.

    Args:
        calls: The tool calls, in order.
        tools: Those of the environment.
        separator: What stands between two tools.
    """
    shorthands = _shorthands(tools)
    return separator.join(filter(None, (_write(name, given, shorthands) for name, given in _by_tool(calls).items())))


def legend(self_edits: Iterable[Calls], tools: Iterable[Tool[Any]] = ()) -> str:
    """What the words of these self-edits mean, for the line below a table."""
    shorthands = _shorthands(tools)
    lists: dict[str, None] = {}
    parts: dict[str, None] = {}
    for name, given in [each for calls in self_edits for each in _by_tool(calls).items()]:
        fields = {field: isinstance(value, list) for field, value in given[-1].items()}
        shorthand = shorthands.get(name)
        if shorthand:
            parts[shorthand.legend] = None
        elif all(fields.values()):
            lists |= dict.fromkeys(fields)
        else:
            parts[f"{name}: {', '.join(fields)}"] = None
    words = [f"{', '.join(lists)} by tool" if lists else "", *parts]
    return f"self-edit: {'; '.join(filter(None, words))}" if any(words) else ""


def _by_tool(calls: Calls) -> dict[str, list[Mapping[str, Any]]]:
    """Arguments of all calls of each tool."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for call in calls:
        found.setdefault(str(call["name"]), []).append(call["arguments"])
    return found


def _shorthands(tools: Iterable[Tool[Any]]) -> dict[str, Shorthand]:
    return {tool.name: tool.shorthand for tool in tools if tool.shorthand}


def _write(name: str, given: Calls, shorthands: Mapping[str, Shorthand]) -> str:
    shorthand = shorthands.get(name)
    if shorthand:
        return shorthand.write(given)
    items = [len(value) for arguments in given for value in arguments.values() if isinstance(value, list)]
    words = [f"{sum(items)} {name}"] if items else [name]
    return " ".join([*words, *(word for field, value in given[-1].items() if (word := _word(field, value)))])


def _word(field: str, value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return field if value else ""
    if isinstance(value, float):
        return f"{value:.1e}" if value and not 0.01 <= abs(value) < 1000 else f"{value:.3g}"
    return "" if isinstance(value, list | dict) else str(value)
