"""The retention matrix of a sequence of tasks as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seal_env.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL_INCHES, MARGIN_INCHES = 0.6, 1.2
UNKNOWN = "0.93"
"""Grey of a score that was not measured."""


def retention_figure(matrix: Sequence[Sequence[float | None]], title: str) -> Figure:
    """The matrix as a heat map.

    Args:
        matrix: Scores in [0, 1]: a row before the first and after each update, a column for each task; None where a score
            was not measured.
        title: Heads the figure.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    with needs_extra("plots"):
        from matplotlib import colormaps
        from matplotlib.figure import Figure

    columns = max(map(len, matrix), default=0)
    scores = np.array([[math.nan if score is None else score for score in row] for row in matrix], dtype=float)
    size = (MARGIN_INCHES + CELL_INCHES * columns, MARGIN_INCHES + CELL_INCHES * len(matrix))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.ma.masked_invalid(scores), cmap=colormaps["Blues"].with_extremes(bad=UNKNOWN), vmin=0.0, vmax=1.0)
    for (row, column), score in np.ndenumerate(scores):
        if not math.isnan(score):
            ink = "white" if score > 0.5 else "black"
            axes.text(column, row, f"{100 * score:.0f}", ha="center", va="center", color=ink)
    axes.set_title(f"{title}: score in %", fontsize="medium")
    axes.set_xticks(range(columns), [f"task {number}" for number in range(1, columns + 1)], rotation=45)
    axes.set_yticks(range(len(matrix)), ["before", *(f"after {number}" for number in range(1, len(matrix)))])
    return figure


def draw_retention(matrix: Sequence[Sequence[float | None]], title: str, path: Path) -> None:
    """Write `retention_figure` as a PNG. Raises MissingExtraError if matplotlib is not installed."""
    retention_figure(matrix, title).savefig(path, format="png", dpi=100)
