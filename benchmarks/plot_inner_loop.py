"""Draw growth: `python benchmarks/plot_inner_loop.py GROWTH.json [SVG]`, from what `inner_loop.py --growth` wrote.

Three panels, self-edits per hour on a logarithmic axis against jobs in a call, tokens per example and parameters.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import drawsvg

PANELS = {
    "jobs_in_call": "jobs in a call",
    "tokens_per_example": "tokens per example",
    "parameters": "parameters of the model",
}
LOOPS = {"batched": "#1f6feb", "reference": "#6e7781"}
INK, GRID, FONT = "#24292f", "#d8dee4", "Helvetica, Arial, sans-serif"
WIDTH, HEIGHT = 300, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 40, 46
Points = Sequence[Mapping[str, Any]]


class Axis:
    """A logarithmic axis from `start` to `end`, in pixels, with room for all values."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = math.log10(min(values)), math.log10(max(values))
        room = max(0.05, 0.06 * (high - low))
        self.low, self.high, self.start, self.end = low - room, high + room, start, end

    def at(self, value: float) -> float:
        """Pixels."""
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis; the fewer to a power of ten, the more powers there are."""
        powers, span = range(math.floor(self.low), math.ceil(self.high) + 1), self.high - self.low
        steps = (1, 1.5, 2, 3, 4, 5, 7) if span < 1 else (1, 2, 5) if span < 2 else (1,)
        found = [step * 10.0**power for power in powers for step in steps]
        return [value for value in found if self.low <= math.log10(value) <= self.high]


def short(value: float) -> str:
    """1500 -> 1,500, 15000 -> 15k, 23000000 -> 23M."""
    for least, size, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.4g}"


def draw_panel(points: Points, label: str, left: float) -> drawsvg.Group:
    """One panel with its left edge at `left`. Points that were not measured are left out."""
    group = drawsvg.Group(transform=f"translate({left},0)")
    measured = {loop: [(point["x"], point[loop]) for point in points if point.get(loop)] for loop in LOOPS}
    xs = [point["x"] for point in points]
    rates = [rate for line in measured.values() for _, rate in line]
    if not rates:
        group.append(
            drawsvg.Text("not measured", 12, WIDTH / 2, HEIGHT / 2, fill=INK, text_anchor="middle", font_family=FONT)
        )
        return group
    across, up = Axis(xs, LEFT, WIDTH - RIGHT), Axis(rates, HEIGHT - BOTTOM, TOP)
    for value in up.ticks():
        group.append(drawsvg.Line(LEFT, up.at(value), WIDTH - RIGHT, up.at(value), stroke=GRID))
        group.append(_text(short(value), LEFT - 6, up.at(value) + 4, "end"))
    for x in xs:
        group.append(_text(short(x), across.at(x), HEIGHT - BOTTOM + 16, "middle"))
    group.append(_text(label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "middle", 12))
    for loop, line in measured.items():
        places = [(across.at(x), up.at(rate)) for x, rate in line]
        flat = [number for place in places for number in place]
        if len(places) > 1:
            group.append(drawsvg.Lines(*flat, fill="none", stroke=LOOPS[loop], stroke_width=2))
        group.extend(drawsvg.Circle(*place, 3, fill=LOOPS[loop]) for place in places)
    return group


def _text(words: str, x: float, y: float, anchor: str, size: int = 11, fill: str = INK) -> drawsvg.Text:
    return drawsvg.Text(words, size, x, y, fill=fill, text_anchor=anchor, font_family=FONT)


def draw(growth: Mapping[str, Points]) -> drawsvg.Drawing:
    """All panels side by side."""
    drawing = drawsvg.Drawing(WIDTH * len(PANELS), HEIGHT)
    drawing.append(drawsvg.Rectangle(0, 0, WIDTH * len(PANELS), HEIGHT, fill="white"))
    drawing.append(_text("self-edits per hour", 10, 20, "start", 13))
    for number, (loop, colour) in enumerate(LOOPS.items()):
        drawing.append(drawsvg.Circle(170 + 90 * number, 16, 4, fill=colour))
        drawing.append(_text(loop, 179 + 90 * number, 20, "start", 12, colour))
    for number, (name, label) in enumerate(PANELS.items()):
        drawing.append(draw_panel(growth.get(name, ()), label, WIDTH * number))
    return drawing


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("growth", type=Path)
    parser.add_argument("svg", type=Path, nargs="?", default=Path("docs/inner-loop.svg"))
    given = parser.parse_args(arguments)
    growth = json.loads(given.growth.read_text())["growth"]
    given.svg.write_text(draw(growth).as_svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
