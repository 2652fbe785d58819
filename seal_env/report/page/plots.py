"""Charts as pictures that are part of a page: matplotlib draws them as SVG, which takes on the colours of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from seal_env.errors import needs_extra
from seal_env.printable import printable
from seal_env.report.page.charts import Chart, Line, Point, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGE: Final = (440, 230)
SMALL: Final = (270, 150)
"""Width and height in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 40
COLOURS: Final = ("#0b62c4", "#b3470b", "#0d7a4f", "#8a3ab9", "#7a6200", "#b0216a", "#0a7d8c", "#5b5f66")
"""Of lines on a light page."""
RULE, SOFT = "#d5dae0", "#57606a"
SHAPES: Final = "os^DvPX*"
"""matplotlib's names of `charts.MARKS`."""
MOST_MARKED: Final = {False: 40, True: 12}
"""Points up to which each has a mark, by whether the chart is small."""
FEW_MARKED: Final = 8
"""Marks of a line of more points that is not alone."""
STYLE: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "seal-env", "text.usetex": False, "path.sketch": None}
_VARIABLES: Final = {RULE: "var(--rule)", SOFT: "var(--soft)"} | {
    colour: f"var(--c{number})" for number, colour in enumerate(COLOURS)
}
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_FONT: Final = re.compile(r"font[^;]*;? ?")
_COLOUR: Final = re.compile("#[0-9a-f]{6}")
_DECIMALS: Final = re.compile(r"-?\d+\.\d{2,}")


@lru_cache(maxsize=4096)
def draw(chart: Chart) -> str:
    """The chart as an SVG element, in which no text is of a run: titles and names of lines are left to the page.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    with needs_extra("report"):
        from matplotlib import rc_context
    text = StringIO()
    with rc_context(STYLE):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        _figure(chart).savefig(text, format="svg", metadata=metadata, transparent=True)
    return _embedded(text.getvalue(), chart.words)


def _figure(chart: Chart) -> Figure:
    from matplotlib.figure import Figure

    width, height = SMALL if chart.small else LARGE
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    room = (LEFT / width, BOTTOM / height, (width - LEFT - RIGHT) / width, (height - TOP - BOTTOM) / height)
    axes = figure.add_axes(room, frameon=False)
    for line in chart.lines:
        _draw_line(axes, line, chart.small, alone=len(chart.lines) == 1)
    axes.set_xlabel(chart.across, color=SOFT, fontsize=11)
    axes.set_ylabel(chart.up, color=SOFT, fontsize=11)
    axes.tick_params(which="both", bottom=False, left=False, labelcolor=SOFT, labelsize=11)
    axes.grid(axis="y", color=RULE, linewidth=1, clip_on=False)
    _divide(axes, chart)
    return figure


def _draw_line(axes: Axes, line: Line, small: bool, alone: bool) -> None:
    points = [point for point in line.points if math.isfinite(point.y)]
    x, y = [point.x for point in points], [point.y for point in points]
    marked = len(points) <= MOST_MARKED[small]
    about: dict[str, Any] = {"color": COLOURS[line.color % len(COLOURS)], "clip_on": False}
    shape = SHAPES[line.color % len(SHAPES)] if marked or not alone else None
    every = 1 if marked else math.ceil(len(points) / FEW_MARKED)
    dash = (0, (3, 2)) if line.dashed else "-"
    axes.plot(x, y, linewidth=2, linestyle=dash, marker=shape, markevery=every, markersize=5, **about)
    known = [*_intervals(points)]
    low, high = [point.low for point in known], [point.high for point in known]
    if marked and known:
        axes.vlines([point.x for point in known], low, high, linewidth=1.5, **about)
    if 1 < len(known) == len(points):
        axes.fill_between(x, low, high, alpha=0.15, linewidth=0, **about)


def _intervals(points: list[Point]) -> Iterator[Any]:
    return (point for point in points if point.low is not None and point.high is not None)


def _divide(axes: Axes, chart: Chart) -> None:
    """Marks on the axes, at round numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    whole = all(float(point.x).is_integer() for line in chart.lines for point in line.points)
    across = MaxNLocator(4 if chart.small else 8, integer=whole, min_n_ticks=1)
    axes.set_xticks(*_marks(across.tick_values(*axes.get_xlim()), axes.get_xlim()), minor=False)
    if chart.share:
        axes.set_ylim(0, 1)
        shares = [0, 0.5, 1] if chart.small else [0, 0.25, 0.5, 0.75, 1]
        axes.set_yticks(shares, [f"{100 * share:.0f}" for share in shares])
        return
    if chart.logarithmic:
        axes.set_yscale("log")
        axes.minorticks_off()
    elif not axes.dataLim.height > 0:
        axes.margins(y=1)
    whole = all(float(point.y).is_integer() for line in chart.lines for point in line.points)
    up = LogLocator(numticks=5) if chart.logarithmic else MaxNLocator(3 if chart.small else 5, integer=whole)
    axes.set_yticks(*_marks(up.tick_values(*axes.get_ylim()), axes.get_ylim()))


def _marks(places: Sequence[float], limits: tuple[float, float]) -> tuple[list[float], list[str]]:
    """Those places on an axis that are inside, and what stands there: as many digits as tell them apart."""
    inside = [place for place in places if limits[0] <= place <= limits[1]]
    labels = [written(place) for place in inside]
    for digits in range(3, 10):
        if len(set(labels)) == len(labels):
            break
        labels = [f"{place:.{digits}g}" for place in inside]
    return inside, labels


def _embedded(picture: str, words: str) -> str:
    """A file of matplotlib as an element of a page: without ids, fonts and colours of its own."""
    root = ElementTree.fromstring(picture)  # noqa: S314 - what matplotlib has just written
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    shapes = {f"#{each.get('id')}": each for defs in root.iter("defs") for each in defs}
    clean = ElementTree.Element("svg", {"class": "chart", "viewBox": root.get("viewBox", ""), "role": "img"})
    clean.set("aria-label", printable(words))
    clean.extend(_flat(root, shapes))
    return ElementTree.tostring(clean, encoding="unicode", method="html")


def _flat(group: ElementTree.Element, shapes: dict[str, ElementTree.Element]) -> Iterator[ElementTree.Element]:
    """The paths and texts of a group, and of groups in it, each on its own."""
    for each in group:
        if each.tag == "use":
            shape = shapes[each.attrib.get("href") or each.attrib[_LINK]]
            place = f"translate({_short(each.get('x', '0'))} {_short(each.get('y', '0'))})"
            style = _style(each) or _style(shape)
            yield ElementTree.Element("path", {"d": _short(shape.get("d", "")), "transform": place, "style": style})
        elif each.tag == "path" and each.get("d") and _style(each) != "fill: none":
            yield ElementTree.Element("path", {"d": _short(each.get("d", "")), "style": _style(each)})
        elif each.tag == "text":
            names = ("x", "y", *([] if "rotate(-0 " in each.get("transform", "") else ["transform"]))
            found = {name: _short(each.get(name, "")) for name in names if each.get(name)}
            text = ElementTree.Element("text", found | {"style": _style(each)})
            text.text = each.text
            yield text
        elif each.tag in ("g", "svg"):
            yield from _flat(each, shapes)


def _style(element: ElementTree.Element) -> str:
    """Its style in the colours and the font of the page."""
    style = _FONT.sub("", element.get("style", ""))
    return _COLOUR.sub(lambda found: _VARIABLES.get(found[0], found[0]), style)


def _short(numbers: str) -> str:
    """Numbers with four digits, as many as a picture of some hundred pixels needs."""
    return _DECIMALS.sub(lambda found: f"{float(found[0]):.4g}", " ".join(numbers.split()))
