"""Lines over a horizontal axis, as coordinates of an SVG picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

SIZE: Final = (440, 220)
SMALL: Final = (270, 140)
LEFT, RIGHT, TOP, BOTTOM = 54, 24, 12, 36
TICKS: Final = 5
MOST_DOTS: Final = 40
"""Points up to which each is drawn as a dot too."""


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
    points: Sequence[Point]
    color: int = 0
    dashed: bool = False


class Tick(NamedTuple):
    """A mark on an axis: where it is in the picture, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: What is shown.
        across: What the horizontal axis is.
        lines: In the order of the legend.
        share: Whether values are shares, shown in per cent from 0 to 100.
        small: Whether it is drawn small, without a table of its values.
    """

    title: str
    across: str
    lines: Sequence[Line]
    share: bool = False
    small: bool = False

    @property
    def width(self) -> int:
        """Of the picture."""
        return (SMALL if self.small else SIZE)[0]

    @property
    def height(self) -> int:
        """Of the picture."""
        return (SMALL if self.small else SIZE)[1]

    @cached_property
    def _x(self) -> tuple[float, float]:
        return _range([point.x for line in self.lines for point in line.points])

    @cached_property
    def logarithmic(self) -> bool:
        """Whether the vertical axis is: values above 0 of several orders of magnitude."""
        values = [point.y for line in self.lines for point in line.points]
        return not self.share and bool(values) and min(values) > 0 and max(values) / min(values) > 30

    @cached_property
    def _y(self) -> tuple[float, float]:
        if self.share:
            return 0.0, 1.0
        values = [self._scaled(each) for line in self.lines for p in line.points for each in (p.y, p.low, p.high) if each]
        return _range([*values, *(self._scaled(p.y) for line in self.lines for p in line.points)])

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def across_at(self, x: float) -> float:
        """Where a value of the horizontal axis is."""
        low, high = self._x
        return round(LEFT + (x - low) / (high - low) * (self.width - LEFT - RIGHT), 1)

    def up_at(self, y: float) -> float:
        """Where a value of the vertical axis is."""
        low, high = self._y
        return round(self.height - BOTTOM - (self._scaled(y) - low) / (high - low) * (self.height - TOP - BOTTOM), 1)

    def path(self, line: Line) -> str:
        """The line, as the points of a polyline."""
        return " ".join(f"{self.across_at(point.x)},{self.up_at(point.y)}" for point in line.points)

    def band(self, line: Line) -> str:
        """The intervals, as the points of a polygon; empty if not every point has one, or there is one point."""
        known = [
            (point.x, point.low, point.high) for point in line.points if point.low is not None and point.high is not None
        ]
        if len(known) < len(line.points) or len(known) < 2:
            return ""
        corners = [(x, high) for x, _, high in known] + [(x, low) for x, low, _ in reversed(known)]
        return " ".join(f"{self.across_at(x)},{self.up_at(y)}" for x, y in corners)

    def dots(self, line: Line) -> Sequence[Point]:
        """The points that are drawn as dots."""
        return line.points if len(line.points) <= MOST_DOTS else ()

    @cached_property
    def x_ticks(self) -> list[Tick]:
        """Marks of the horizontal axis."""
        low, high = self._x
        whole = all(float(point.x).is_integer() for line in self.lines for point in line.points)
        return [Tick(self.across_at(each), written(each)) for each in _nice(low, high, 1.0 if whole else 0.0)]

    @cached_property
    def y_ticks(self) -> list[Tick]:
        """Marks of the vertical axis."""
        if self.share:
            return [
                Tick(self.up_at(each), f"{100 * each:.0f} %")
                for each in ((0.0, 0.5, 1.0) if self.small else (0.0, 0.25, 0.5, 0.75, 1.0))
            ]
        low, high = self._y
        if self.logarithmic:
            powers = [float(each) for each in range(math.ceil(low), math.floor(high) + 1)]
            shown = powers if len(powers) > 1 else [low, high]
            return [Tick(self.up_at(10.0**each), f"{10.0**each:.0e}") for each in shown]
        return [Tick(self.up_at(each), written(each)) for each in _nice(low, high, marks=2 if self.small else TICKS)]

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


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many of the points, evenly spaced, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def written(value: float) -> str:
    """A number in few characters: `0.25`, `1,200`, `3e-05`."""
    if value and not 0.001 <= abs(value) < 1e7:
        return f"{value:.1e}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    around = abs(low) / 2 or 0.5
    return (low, high) if high > low else (low - around, high + around)


def _nice(low: float, high: float, least: float = 0.0, marks: int = TICKS) -> list[float]:
    """Round numbers in a range, about so many of them, at least so far apart."""
    rough = (high - low) / marks
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(least, next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
