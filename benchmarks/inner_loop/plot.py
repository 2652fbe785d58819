"""Plot growth: `python -m benchmarks.inner_loop.plot GROWTH.json [SVG]`, of what `--growth` wrote.

Three panels, self-edits per hour against jobs in a call, tokens per example and parameters, all axes logarithmic.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

PANELS = {
    "jobs_in_call": "jobs in a call",
    "tokens_per_example": "tokens per example",
    "parameters": "parameters of the model",
}
LOOPS = {"batched": "#1f6feb", "reference": "#6e7781"}


def short(value: float, _position: int | None = None) -> str:
    """1500 -> 1,500, 15000 -> 15k, 23000000 -> 23M."""
    for at_least, size, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= at_least:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.4g}"


def plot(growth: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """All panels side by side; points that were not measured are left out."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    for number, (name, label) in enumerate(PANELS.items()):
        axes = figure.add_subplot(1, len(PANELS), number + 1)
        points = growth.get(name, ())
        for loop, colour in LOOPS.items():
            measured = [(point["x"], point[loop]) for point in points if point.get(loop)]
            if measured:
                axes.plot(*zip(*measured, strict=True), marker="o", color=colour, label=loop)
        if not axes.lines:
            axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
            continue
        axes.set(xscale="log", yscale="log", xlabel=label)
        axes.set_xticks([point["x"] for point in points])
        axes.xaxis.set_minor_locator(NullLocator())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(short))
            axis.set_minor_formatter(FuncFormatter(short))
        axes.tick_params(which="both", labelsize=8)
        axes.grid(axis="y", which="both", alpha=0.3)
        if number == 0:
            axes.set_ylabel("self-edits per hour")
            axes.legend()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("growth", type=Path)
    parser.add_argument("svg", type=Path, nargs="?", default=Path("docs/inner-loop.svg"))
    given = parser.parse_args(arguments)
    plot(json.loads(given.growth.read_text())["growth"]).savefig(given.svg, metadata={"Date": None})


if __name__ == "__main__":
    main()
