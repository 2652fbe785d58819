"""The retention frontier: scores just after a task was learned against scores on all tasks at the end of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seal_env.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vPX<>"
SHARES = "rehearse:"
"""Designs of this kind are joined by a line, in the order of their shares."""


def frontier_figure(rows: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A point for each row, with 95 % intervals, under the name of its design; with several agents, under the row's.

    Args:
        rows: Summaries by name, see `seal_env.experiments.reproduce.continual.summarise`, with `agent` and `design`; those
            without a sequence are left out.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    with needs_extra("plots"):
        from matplotlib import colormaps
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.8), layout="constrained")
    axes = figure.add_subplot()
    shares: dict[str, list[tuple[float, float, float]]] = {}
    known = {name: row for name, row in rows.items() if row["sequences"]}
    for number, (name, row) in enumerate(known.items()):
        new, end = row["new"], row["end"]
        x, y = 100 * new["mean"], 100 * end["mean"]
        label = row["design"] if len({each["agent"] for each in known.values()}) == 1 else name
        marker = MARKERS[number % len(MARKERS)]
        colour = colormaps["tab20"](_place(number))
        look: dict[str, Any] = {"fmt": marker, "color": colour, "capsize": 2, "markersize": 8, "label": label}
        axes.errorbar(x, y, xerr=_span(new), yerr=_span(end), **look)
        if (share := _share(row["design"])) is not None:
            shares.setdefault(row["agent"], []).append((share, x, y))
    for points in shares.values():
        _, xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, color="0.6", zorder=0)
    if known:
        figure.legend(loc="outside right upper", fontsize="small")
    axes.set_xlabel("new task, just after it was learned (%)")
    axes.set_ylabel("all tasks at the end (%)")
    axes.set_title("Retention frontier", fontsize="medium")
    axes.grid(alpha=0.3)
    return figure


def _span(interval: Mapping[str, Any]) -> list[list[float]] | None:
    """How far an interval reaches below and above its mean, in per cent; None where no interval is known."""
    mean, low, high = (interval[name] for name in ("mean", "low", "high"))
    return None if low is None or high is None else [[100 * (mean - low)], [100 * (high - mean)]]


def _place(number: int) -> int:
    """Where a row's colour is among twenty: first the ten dark ones, then the ten light ones."""
    return 2 * number % 20 + number // 10 % 2


def _share(design: str) -> float | None:
    """The share that a design rehearses; None for one that does something else."""
    if design == "none":
        return 0.0
    return float(design.removeprefix(SHARES)) if design.startswith(SHARES) and "+" not in design else None


def draw_frontier(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write `frontier_figure` as a PNG. Raises MissingExtraError if matplotlib is not installed."""
    frontier_figure(rows).savefig(path, format="png", dpi=100)
