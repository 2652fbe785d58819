"""The retention frontier: scores just after a task was learned against scores on all tasks at the end of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seal_env.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = "rehearse:"
"""Designs of this kind are joined by a line, in the order of their shares."""


def frontier_figure(rows: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A point for each row, with 95 % intervals.

    Args:
        rows: Summaries by name, see `seal_env.experiments.reproduce.continual.summarise`, with `design`; those without a
            sequence are left out.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    with needs_extra("plots"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    shares: dict[str, list[tuple[float, float, float]]] = {}
    for name, row in rows.items():
        if not row["sequences"]:
            continue
        new, end = row["new"], row["end"]
        x, y = 100 * new["mean"], 100 * end["mean"]
        spans = [[[100 * (each["mean"] - each["low"])], [100 * (each["high"] - each["mean"])]] for each in (new, end)]
        axes.errorbar(x, y, xerr=spans[0], yerr=spans[1], fmt="o", capsize=2, markersize=5)
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(6, 4), fontsize="small")
        if (share := _share(row["design"])) is not None:
            shares.setdefault(name.partition("-rehearse")[0], []).append((share, x, y))
    for points in shares.values():
        _, xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, color="0.6", zorder=0)
    axes.set_xlabel("new task, just after it was learned (%)")
    axes.set_ylabel("all tasks at the end (%)")
    axes.set_title("Retention frontier", fontsize="medium")
    axes.grid(alpha=0.3)
    return figure


def _share(design: str) -> float | None:
    """The share that a design rehearses; None for one that does something else."""
    if design == "none":
        return 0.0
    return float(design.removeprefix(SHARES)) if design.startswith(SHARES) and "+" not in design else None


def draw_frontier(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write `frontier_figure` as a PNG. Raises MissingExtraError if matplotlib is not installed."""
    frontier_figure(rows).savefig(path, format="png", dpi=100)
