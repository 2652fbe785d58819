"""Transformations of grids, each by name and with the way back; and permutations of colours.

Every transformation here keeps all cells, so each can be undone: `undo(apply(grid)) == grid` for every grid. Rotations are
counter-clockwise; axis 0 runs down the rows, axis 1 along the columns. The set is that of SEAL's augmentation groups
(arXiv 2506.10943, ARC few-shot).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seal_env.tasks.arc.grid import COLOURS, Array, Grid, GridPair, to_array, to_grid

ArrayFunction = Callable[[Array], Array]
ColourTable = tuple[int, ...]


@dataclass(frozen=True)
class Transform:
    """A named transformation of arrays [rows, columns], and its inverse on what it can produce."""

    name: str
    forward: ArrayFunction
    backward: ArrayFunction

    def apply(self, grid: Grid) -> Grid:
        """The transformed grid; it may be larger than ARC allows."""
        return to_grid(self.forward(to_array(grid)))

    def undo(self, grid: Grid) -> Grid:
        """The grid that `apply` makes this one of."""
        return to_grid(self.backward(to_array(grid)))

    def apply_pair(self, pair: GridPair) -> GridPair:
        """Input and output transformed alike."""
        return GridPair(self.apply(pair.input), self.apply(pair.output))


def rotate(degrees: int) -> Transform:
    """Turn counter-clockwise by 90, 180 or 270 degrees."""
    turns = degrees // 90
    return Transform(f"rotate-{degrees}", lambda a: np.rot90(a, turns), lambda a: np.rot90(a, -turns))


def flip(axis: int) -> Transform:
    """Mirror image: axis 0 reverses the order of the rows, axis 1 that of the columns."""
    return Transform(f"flip-{axis}", lambda a: np.flip(a, axis), lambda a: np.flip(a, axis))


def reflect(axis: int, mirror_first: bool) -> Transform:
    """The grid joined with its mirror image along an axis; `mirror_first` puts the mirror image above or to the left."""

    def forward(array: Array) -> Array:
        mirror = np.flip(array, axis)
        return np.concatenate([mirror, array] if mirror_first else [array, mirror], axis)

    name = f"reflect-{axis}-{'before' if mirror_first else 'after'}"
    return Transform(name, forward, lambda a: np.split(a, 2, axis)[int(mirror_first)])


def double(rows: int, columns: int) -> Transform:
    """Every cell becomes a block of rows x columns equal cells (1 or 2 each)."""
    return Transform(
        f"double-{rows}x{columns}", lambda a: a.repeat(rows, 0).repeat(columns, 1), lambda a: a[::rows, ::columns]
    )


def repeat(rows: int, columns: int) -> Transform:
    """The whole grid laid out rows x columns times (1 or 2 each)."""
    return Transform(
        f"repeat-{rows}x{columns}",
        lambda a: np.tile(a, (rows, columns)),
        lambda a: a[: len(a) // rows, : a.shape[1] // columns],
    )


def shift(rows: int, columns: int) -> Transform:
    """Every row moves down and every column to the right; what leaves on one side comes back on the other."""
    return Transform(
        f"shift-{rows},{columns}",
        lambda a: np.roll(a, (rows, columns), (0, 1)),
        lambda a: np.roll(a, (-rows, -columns), (0, 1)),
    )


def chain(first: Transform, second: Transform) -> Transform:
    """First one, then the other."""
    return Transform(
        f"{first.name}+{second.name}",
        lambda a: second.forward(first.forward(a)),
        lambda a: first.backward(second.backward(a)),
    )


IDENTITY = Transform("identity", lambda a: a, lambda a: a)
TRANSPOSE = Transform("transpose", np.transpose, np.transpose)
_TURNS = (rotate(90), rotate(270), rotate(180), flip(0), flip(1))

BASIC = (*_TURNS, *(reflect(axis, first) for first in (True, False) for axis in (0, 1)), TRANSPOSE)
SIZE = (double(2, 2), double(2, 1), double(1, 2))
CHAIN = tuple(chain(turn, double(2, 2)) for turn in (*_TURNS, TRANSPOSE))
REPEAT = (repeat(2, 1), repeat(1, 2), repeat(2, 2))

TRANSFORMS: dict[str, Transform] = {t.name: t for t in (IDENTITY, *BASIC, *SIZE, *CHAIN, *REPEAT)}
"""Every transformation without a parameter of its own, by name; `shift` is made with its two distances."""


def permute_colours(grid: Grid, table: ColourTable) -> Grid:
    """Colour c becomes table[c], for a table of all ten colours."""
    mapping = bytes(table) + bytes(range(COLOURS, 256))
    return tuple(tuple(bytes(row).translate(mapping)) for row in grid)


def invert_colours(table: ColourTable) -> ColourTable:
    """The table that undoes a permutation of colours."""
    return tuple(table.index(colour) for colour in range(COLOURS))


def draw_colours(used: frozenset[int], rng: np.random.Generator) -> ColourTable:
    """A random permutation of the ten colours that moves the `used` ones; 0 stays 0.

    In ascending order, each used colour goes to a random unused one while there are any; after that each colour not yet
    moved swaps with a random used one (itself, possibly; a partner that had moved comes back). Unused colours take the
    places left over.
    """
    colours = sorted(used - {0})
    unused = [colour for colour in range(1, COLOURS) if colour not in used]
    free = [unused[index] for index in rng.permutation(len(unused))]
    partners = [colours[index] for index in rng.permutation(len(colours))]
    table = {0: 0}
    for colour in colours:
        if colour in table:
            continue
        if free:
            table[colour] = free.pop()
            continue
        partner = partners.pop()
        table[partner] = colour
        table[colour] = partner
        if colour in partners:
            partners.remove(colour)
    left_over = iter(sorted(set(range(COLOURS)) - set(table.values())))
    return tuple(table[colour] if colour in table else next(left_over) for colour in range(COLOURS))
