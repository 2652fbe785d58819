"""Charts as data: lines over a horizontal axis. `plots` draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

ORDERS: Final = 30
"""Ratio of the largest to the smallest value from which the vertical axis is logarithmic."""
MARKS: Final = "\u25cf\u25a0\u25b2\u25c6\u25bc\u271a\u2716\u2605"
"""What stands for each colour beside it, so that lines can be told apart without colours."""


class Point(NamedTuple):
    """A value and its interval. low, high: None without one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of a chart. color: its number among the colours of the page. dashed: it is drawn with gaps."""

    name: str
    points: tuple[Point, ...]
    color: int = 0
    dashed: bool = False

    @property
    def mark(self) -> str:
        """How the legend shows it."""
        dash = "\u254d" if self.dashed else "\u2501"
        return f"{dash}{MARKS[self.color % len(MARKS)]}{dash}"


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: What is shown.
        across: What the horizontal axis is.
        up: What the vertical axis is, with its unit.
        lines: In the order of the legend.
        share: Whether values are shares, shown in per cent from 0 to 100.
        small: Whether it is drawn small, without a table of its values.
    """

    title: str
    across: str
    up: str
    lines: tuple[Line, ...]
    share: bool = False
    small: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether the vertical axis is: values above 0 of several orders of magnitude."""
        values = [point.y for line in self.lines for point in line.points if math.isfinite(point.y)]
        return not self.share and bool(values) and min(values) > 0 and max(values) / min(values) > ORDERS

    @property
    def words(self) -> str:
        """The chart for those who do not see it: where each line begins and ends."""
        told = (
            f"{line.name or 'value'} from {self.value(line.points[0].y)} to {self.value(line.points[-1].y)}"
            for line in self.lines
            if line.points
        )
        return f"{self.title}, by {self.across}: {'; '.join(told)}"

    def value(self, y: float) -> str:
        """A value as the page writes it."""
        return f"{100 * y:.0f} %" if self.share else written(y)


def thinned(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """At most so many of the points, evenly spaced, with the first and the last."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(index * (len(points) - 1) / (most - 1))] for index in range(most))


def written(value: float) -> str:
    """A number in few characters: `0.25`, `1,200`, `3e-05`."""
    if value and not 0.001 <= abs(value) < 1e7:
        return f"{value:.2g}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
