"""Numbers, durations and tables as every report writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seal_env.intervals import Interval

DASH = "-"
"""Stands for what was not measured."""


def plain_table(*headings: str, right: bool = True) -> Table:
    """A table ruled below its headings only.

    Args:
        headings: One for each column.
        right: Whether all columns but the first are flush right, as numbers are.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if right and number else "left")
    return table


def number(value: float | None) -> str:
    """Two decimals, or a dash for None and nan."""
    return DASH if value is None or math.isnan(value) else f"{value:.2f}"


def share(value: float | None) -> str:
    """A share of 1 in per cent, without the sign: `50`; a dash for None and nan."""
    return DASH if value is None or math.isnan(value) else f"{100 * value:.0f}"


def percentages(before: float | None, after: float | None) -> str:
    """Two shares of 1 in per cent: `0 -> 50 %`; dashes for what was not measured."""
    one, other = share(before), share(after)
    return DASH if one == other == DASH else f"{one} -> {other} %"


def percent(interval: Mapping[str, Any] | None) -> str:
    """An `Interval` given by its fields as `58 [52, 65]`, or a dash."""
    return DASH if interval is None else Interval(**interval).percent()


def has_interval(given: Any) -> bool:
    """Whether an `Interval`, given by its fields, is anywhere in JSON data with both bounds, so that brackets are shown."""
    if isinstance(given, Mapping):
        bounds = [given.get(bound) for bound in ("low", "high")]
        return all(isinstance(bound, float | int) for bound in bounds) or any(map(has_interval, given.values()))
    return isinstance(given, list | tuple) and any(map(has_interval, given))


class IntervalCell:
    """`58 [52, 65]` in a cell of a table: in one line, or where there is no room the mean above its interval.

    Args:
        text: Of `percent`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._stacked = text.replace(" [", "\n[", 1)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(max(map(len, self._stacked.splitlines())), len(self.text))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fits = len(self.text) <= options.max_width
        yield Text(self.text if fits else self._stacked, justify=options.justify or "right")


def metric_heading(name: str) -> str:
    """What a table calls one of the domain's further measures: `word_f1` is `word F1`."""
    return name.replace("_f1", "_F1").replace("_", " ")


def metric_cell(interval: Mapping[str, Any] | None) -> str:
    """The mean of a further measure, given as an `Interval` by its fields, or a dash."""
    return DASH if interval is None else number(interval["mean"])


def metric_names(reports: Iterable[Mapping[str, Any]]) -> list[str]:
    """The further measures of any of these reports, in order."""
    return list(dict.fromkeys(name for report in reports for name in report.get("metrics", {})))


def seconds(timings: Mapping[str, float], phase: str) -> str:
    """Seconds of one phase, or a dash if it did not take place."""
    if phase not in timings:
        return DASH
    return f"{timings[phase]:.1f}" if timings[phase] < 100 else f"{timings[phase]:.0f}"


def duration(elapsed: float) -> str:
    """`48 s`, `8 min 20 s`, `2 h 5 min`."""
    whole = round(elapsed)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
