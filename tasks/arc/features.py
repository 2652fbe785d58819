"""The demonstrations of an ARC task as numbers, for agents that cannot read text. Queries are never looked at.

The features of a pair of grids say how the output is related to the input: its size, what was kept, turned, tiled or
recoloured, its colours and its symmetries. All of them are between -1 and 1; a share is one of cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from seal_env.errors import SettingError
from seal_env.tasks.arc.grid import COLOURS, Array, GridPair, to_array
from seal_env.tasks.arc.task import ArcContext, ArcTask

Features = NDArray[np.float32]

PARTS = ("summary", "pairs", "sizes", "demonstrations", "grids")
"""summary: the pairs' features on average, and what all demonstrations have in common. pairs: each pair's own features.
sizes: rows and columns of input and output. demonstrations: a mask of those that there are. grids: the cells."""

TURNS: dict[str, Callable[[Array], Array]] = {
    "flip-rows": lambda a: a[::-1],
    "flip-columns": lambda a: a[:, ::-1],
    "rotate-90": lambda a: np.rot90(a, 1),
    "rotate-180": lambda a: np.rot90(a, 2),
    "rotate-270": lambda a: np.rot90(a, 3),
    "transpose": lambda a: a.T,
    "anti-transpose": lambda a: np.rot90(a, 2).T,
}
_WIDEST_RATIO = 2.0  # in doublings: outputs a quarter, or four times, as long as their inputs are at the ends of the scale


@dataclass(frozen=True)
class GridShape:
    """What features are padded to: the longest side of a grid, and the most demonstrations of a task."""

    side: int
    demonstrations: int

    @classmethod
    def of(cls, tasks: Iterable[ArcTask]) -> GridShape:
        """The least shape that all of the tasks fit in, their queries left out of account. Raises SettingError for none."""
        sizes = [(len(task.context), _longest_side(task.context)) for task in tasks]
        if not sizes:
            raise SettingError("tasks", [], "at least one task")
        return cls(max(side for _, side in sizes), max(count for count, _ in sizes))

    def check(self, context: ArcContext) -> None:
        """Raise SettingError if a task with this context does not fit."""
        needed = GridShape(_longest_side(context), len(context))
        if needed.side > self.side or needed.demonstrations > self.demonstrations:
            raise SettingError("shape", self, f"at least {needed}, which a task needs")


def _longest_side(context: ArcContext) -> int:
    return max(max(len(grid), len(grid[0])) for pair in context for grid in pair)


def pair_features(pair: GridPair) -> dict[str, float]:
    """How an output is related to its input. All between -1 and 1."""
    before, after = to_array(pair.input), to_array(pair.output)
    named = _size_features(before, after) | _content_features(before, after) | _colour_features(before, after)
    named |= {f"turned {name}": _match(turn(before), after) for name, turn in TURNS.items()}
    named |= {f"symmetric {name}": _match(turn(after), after) for name, turn in TURNS.items()}
    return named | _line_features(after)


def context_features(context: ArcContext) -> dict[str, float]:
    """What all demonstrations have in common. All between 0 and 1."""
    sides = ([to_array(pair.input) for pair in context], [to_array(pair.output) for pair in context])
    named = {"demonstrations": min(len(context) / 10, 1.0)}
    for name, grids in zip(("inputs", "outputs"), sides, strict=True):
        alike = len({grid.shape for grid in grids}) == 1
        named[f"{name} of one size"] = float(alike)
        named[f"{name}' cells in common"] = float((np.ptp(grids, axis=0) == 0).mean()) if alike else 0.0
    return named


def features(
    context: ArcContext, shape: GridShape, one_hot: bool = False, parts: Sequence[str] = PARTS
) -> dict[str, Features]:
    """Parts as flat arrays of float32, of the lengths that `lengths` gives.

    What is not there (a further demonstration, a cell beyond a grid's edge) is 0. one_hot: a cell is ten numbers, one for
    each colour, and not one number. parts: which of PARTS; `summary` alone has nothing to be padded, whatever the shape.
    Raises SettingError if the context does not fit the shape.
    """
    if set(parts) == {"summary"}:
        shape = GridShape(_longest_side(context), len(context))
    shape.check(context)
    pairs = np.zeros((shape.demonstrations, len(PAIR_FEATURES)), np.float32)
    sizes = np.zeros((shape.demonstrations, 4), np.float32)
    cells = np.zeros((shape.demonstrations, 2, shape.side, shape.side), np.int8)
    for number, pair in enumerate(context):
        pairs[number] = list(pair_features(pair).values())
        sizes[number] = [*np.shape(pair.input), *np.shape(pair.output)]
        for grid, place in zip(pair, cells[number], strict=True):
            place[: len(grid), : len(grid[0])] = to_array(grid) + 1
    mask = np.arange(shape.demonstrations) < len(context)
    summary = np.concatenate([pairs[mask].mean(0), list(context_features(context).values())])
    numbers = cells[..., None] == np.arange(1, COLOURS + 1) if one_hot else cells / COLOURS
    made = {"summary": summary, "pairs": pairs, "sizes": sizes / shape.side, "demonstrations": mask, "grids": numbers}
    return {name: made[name].astype(np.float32).ravel() for name in parts}


def lengths(shape: GridShape, one_hot: bool = False) -> dict[str, int]:
    """How many numbers each part of PARTS has."""
    grids = 2 * shape.demonstrations * shape.side**2
    return {
        "summary": len(PAIR_FEATURES) + len(CONTEXT_FEATURES),
        "pairs": len(PAIR_FEATURES) * shape.demonstrations,
        "sizes": 4 * shape.demonstrations,
        "demonstrations": shape.demonstrations,
        "grids": grids * COLOURS if one_hot else grids,
    }


def _match(a: Array, b: Array) -> float:
    """Share of equal cells; 0 if the sizes differ."""
    return float((a == b).mean()) if a.shape == b.shape else 0.0


def _size_features(before: Array, after: Array) -> dict[str, float]:
    ratios = [math.log2(new / old) / _WIDEST_RATIO for old, new in zip(before.shape, after.shape, strict=True)]
    named = {f"{name} ratio": min(max(ratio, -1.0), 1.0) for name, ratio in zip(("rows", "columns"), ratios, strict=True)}
    return {"same size": float(before.shape == after.shape), **named}


def _content_features(before: Array, after: Array) -> dict[str, float]:
    """Shares of the output's cells that the input, laid upon it, tiled or enlarged, has right; and which is in which."""
    rows, columns = np.indices(after.shape)
    height, width = before.shape
    overlap = (slice(min(height, len(after))), slice(min(width, after.shape[1])))
    return {
        "kept": float((before[overlap] == after[overlap]).mean()),
        "tiled": float((before[rows % height, columns % width] == after).mean()),
        "enlarged": float((before[rows * height // len(after), columns * width // after.shape[1]] == after).mean()),
        "input inside output": float(_is_inside(before, after)),
        "output inside input": float(_is_inside(after, before)),
    }


def _is_inside(small: Array, large: Array) -> bool:
    if small.shape[0] > large.shape[0] or small.shape[1] > large.shape[1]:
        return False
    return bool((sliding_window_view(large, small.shape) == small).all((2, 3)).any())


def _colour_features(before: Array, after: Array) -> dict[str, float]:
    """Palettes, the share of cells that a table of colours explains, and the histograms."""
    old, new = (np.bincount(array.ravel(), minlength=COLOURS) for array in (before, after))
    named = {
        "input colours": (old > 0).mean(),
        "output colours": (new > 0).mean(),
        "new colours": ((new > 0) & (old == 0)).mean(),
        "lost colours": ((new == 0) & (old > 0)).mean(),
        "recoloured": _recoloured(before, after),
    }
    named |= {f"input share of {colour}": share for colour, share in enumerate(old / before.size)}
    named |= {f"output share of {colour}": share for colour, share in enumerate(new / after.size)}
    return {name: float(value) for name, value in named.items()}


def _recoloured(before: Array, after: Array) -> float:
    """Share of the output's cells that the best table from colours to colours gets right; 0 if the sizes differ."""
    if before.shape != after.shape:
        return 0.0
    together = np.zeros((COLOURS, COLOURS), np.int64)
    np.add.at(together, (before, after), 1)
    return float(together.max(1).sum() / after.size)


def _line_features(after: Array) -> dict[str, float]:
    """Shares of the output's rows and columns that have one colour only, and whether its edges do."""
    rows, columns = (np.ptp(after, axis=axis) == 0 for axis in (1, 0))
    named = {"plain rows": rows.mean(), "plain columns": columns.mean()}
    edges = {"top": rows[0], "bottom": rows[-1], "left": columns[0], "right": columns[-1]}
    return {name: float(value) for name, value in (named | {f"plain {name}": edge for name, edge in edges.items()}).items()}


PAIR_FEATURES = tuple(pair_features(GridPair(((0,),), ((0,),))))
"""Names of the features of a pair, in order."""
CONTEXT_FEATURES = tuple(context_features((GridPair(((0,),), ((0,),)),)))
"""Names of the features of all demonstrations, in order. The summary is the pairs' features and then these."""
