"""Two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from seal_env.intervals import Interval
from seal_env.report.formats import DASH, has_interval, metric_heading, percent, plain_table, plural
from seal_env.self_edits.untrusted_json import cut

SHARES: Final = ("accuracy_before", "accuracy", "solved", "valid")
"""Measures that are shown in per cent."""
LONGEST: Final = 60
"""Characters of a setting that are shown."""
WHOLE: Final = ("steps", "tokens")


def comparison_table(result: Mapping[str, Any]) -> RenderableType:
    """Both runs, the settings that differ, and a row for each measure.

    Args:
        result: What `seal_env.experiments.compare.compare` returned.
    """
    table = plain_table("mean over tasks", "A", "B", "B - A")
    for name, found in result["measures"].items():
        table.add_row(
            metric_heading(name), *(interval_cell(name, found[column]) for column in ("first", "second", "difference"))
        )
    return Group(Text(_heading(result)), table, Text(_note(result), "dim"))


def _heading(result: Mapping[str, Any]) -> str:
    lines = []
    for letter, run in zip("AB", result["runs"], strict=True):
        failed = f", {plural(run['failed'], 'infrastructure failure')}" if run["failed"] else ""
        counts = f"{plural(run['samples'], 'self-edit')} for {plural(run['tasks'], 'task')}{failed}"
        lines.append(f"{letter}  {run['folder']}: {run['label']}, {counts}")
    for name, (first, second) in result["settings"].items():
        lines.append(f"   {name}  {_value(first)} -> {_value(second)}")
    return "\n".join([*lines, ""])


def _value(setting: Any) -> str:
    """A setting, shortened: a self-edit has thousands of characters."""
    return DASH if setting is None else cut(str(setting), LONGEST)


def interval_cell(name: str, interval: Mapping[str, Any] | None) -> str:
    """A measure with its interval: shares in per cent, costs as whole numbers; a dash where it was not measured."""
    if interval is None:
        return DASH
    if name in SHARES:
        return percent(interval)
    return Interval(**interval).text("z,.0f" if name in WHOLE else "z,.2f")


def _note(result: Mapping[str, Any]) -> str:
    brackets = "Brackets are 95 % bootstrap intervals over tasks; " if has_interval(result["measures"]) else ""
    shares = "accuracy, solved and valid are in per cent."
    return f"\n{_pairing(result)}\n{brackets}{shares if brackets else shares.capitalize()}"


def _pairing(result: Mapping[str, Any]) -> str:
    """What B - A is over."""
    tasks = result["tasks"]
    alone = f"{tasks['first']} in A alone, {tasks['second']} in B alone"
    if not tasks["both"]:
        return f"A and B have no task in common ({alone}), so there is no B - A."
    seeds = "the same seeds" if result["same_seeds"] else "other seeds"
    return f"B - A is paired by task, over the {plural(tasks['both'], 'task')} of both ({alone}), {seeds}."
