"""Grids of ARC: what they are, how they are written as text for a model, and how text is read back.

A grid is a tuple of rows of colours 0..9, between 1x1 and 30x30. Tuples, not arrays, because tasks are compared, hashed and
frozen; transformations go through numpy and back.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seal_env.errors import SettingError, TaskError

MAX_SIDE = 30
COLOURS = 10

Grid = tuple[tuple[int, ...], ...]
Array = NDArray[np.int8]

_DIGITS = bytes(ord(str(colour)) if colour < COLOURS else 0 for colour in range(256))
ROW_LABELS = string.ascii_lowercase + string.ascii_uppercase[: MAX_SIDE - 26]


class GridPair(NamedTuple):
    """An input grid and the output grid that the task's rule makes of it."""

    input: Grid
    output: Grid


def to_array(grid: Grid) -> Array:
    """Grid -> int8 array [rows, columns]."""
    return np.array(grid, dtype=np.int8)


def to_grid(array: NDArray[Any]) -> Grid:
    """Array [rows, columns] -> grid."""
    return tuple(map(tuple, array.tolist()))


def check_grid(rows: object, where: str) -> Grid:
    """Validate untrusted rows (from JSON) as a grid. Raises TaskError that says `where` and what is wrong."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise TaskError(f"{where}: expected a list of 1 to {MAX_SIDE} rows, got {_short(rows)}")
    if len(rows) > MAX_SIDE:
        raise TaskError(f"{where}: {len(rows)} rows; at most {MAX_SIDE}")
    checked = []
    for index, row in enumerate(rows):
        if not isinstance(row, Sequence) or isinstance(row, str) or not row:
            raise TaskError(f"{where}, row {index}: expected a list of 1 to {MAX_SIDE} colours, got {_short(row)}")
        if len(row) > MAX_SIDE:
            raise TaskError(f"{where}, row {index}: {len(row)} columns; expected a list of 1 to {MAX_SIDE} colours")
        if len(row) != len(rows[0]):
            raise TaskError(f"{where}, row {index}: {len(row)} columns, but row 0 has {len(rows[0])}")
        for cell in row:
            if type(cell) is not int or not 0 <= cell < COLOURS:
                raise TaskError(f"{where}, row {index}: colour {_short(cell)}; expected an integer 0 to {COLOURS - 1}")
        checked.append(tuple(row))
    return tuple(checked)


class GridFormat:
    """A way to write grids as text: cells separated by a space, one row a line.

    `plain` writes only the cells and suits language models trained elsewhere. `lettered` begins each row with its letter
    ("a 0 1 2"): a small model then need not count lines to know in which row it is.
    """

    def __init__(self, name: str) -> None:
        if name not in ("plain", "lettered"):
            raise SettingError("grid_format", name, "'plain' or 'lettered'")
        self.name = name
        self.pattern = self._pattern()

    def _pattern(self) -> str:
        """A regular expression that every written grid matches (rows of unequal length match too)."""
        row = r"[0-9](?: [0-9]){0,29}"
        if self.name == "plain":
            return rf"{row}(?:\n{row}){{0,29}}"
        nested = ""
        for label in reversed(ROW_LABELS[1:]):
            nested = rf"(?:\n{label} {row}{nested})?"
        return rf"{ROW_LABELS[0]} {row}{nested}"

    def write(self, grid: Grid) -> str:
        """Grid -> text without a final newline."""
        return _written(grid, self.name == "lettered")

    def read(self, text: str) -> Grid | None:
        """Text -> grid, or None if it is not exactly one grid in this format (outer white space is forgiven)."""
        rows: list[tuple[int, ...]] = []
        for index, line in enumerate(text.strip().split("\n")):
            row = self._read_row(index, line.strip())
            if row is None or (rows and len(row) != len(rows[0])):
                return None
            rows.append(row)
        return tuple(rows)

    def _read_row(self, index: int, line: str) -> tuple[int, ...] | None:
        if index >= MAX_SIDE:
            return None
        if self.name == "lettered":
            if not line.startswith(ROW_LABELS[index] + " "):
                return None
            line = line[2:]
        if not re.fullmatch(r"[0-9](?: [0-9]){0,29}", line):
            return None
        return tuple(map(int, line.split(" ")))


@lru_cache(maxsize=2048)
def _written(grid: Grid, lettered: bool) -> str:
    """The examples of a task show the same grids again and again."""
    rows = (" ".join(bytes(row).translate(_DIGITS).decode("ascii")) for row in grid)
    return "\n".join(f"{label} {row}" for label, row in zip(ROW_LABELS, rows, strict=False)) if lettered else "\n".join(rows)


def cell_accuracy(prediction: Grid | None, gold: Grid) -> float:
    """Share of cells of `gold` that `prediction` has right; 0 if it is missing or of another shape."""
    if prediction is None or len(prediction) != len(gold) or len(prediction[0]) != len(gold[0]):
        return 0.0
    return float(np.mean(to_array(prediction) == to_array(gold)))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
