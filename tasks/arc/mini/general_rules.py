"""The general rule families of `mini`: rules that hold for grids of any size, as they are known from ARC.

Left out, on purpose: objects with holes, and counting beyond presence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seal_env.tasks.arc.grid import Array
from seal_env.tasks.arc.mini.rule import SYMMETRIES, Mask, Rng, Rule, RuleInstance, pick, with_swap

MIRRORS: dict[str, Rule] = {
    "right": lambda a: np.hstack([a, a[:, ::-1]]),
    "left": lambda a: np.hstack([a[:, ::-1], a]),
    "below": lambda a: np.vstack([a, a[::-1]]),
    "above": lambda a: np.vstack([a[::-1], a]),
    "all": lambda a: np.block([[a, a[:, ::-1]], [a[::-1], a[::-1, ::-1]]]),
    "all-inward": lambda a: np.block([[a[::-1, ::-1], a[::-1]], [a[:, ::-1], a]]),
    "turned-right": lambda a: np.hstack([a, a[::-1]]),
    "turned-below": lambda a: np.vstack([a, a[:, ::-1]]),
}
GRAVITY: dict[str, int] = {"down": 0, "right": 1, "up": 2, "left": 3}
BITS: dict[str, Callable[[Mask, Mask], Mask]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "nor": lambda a, b: ~(a | b),
}


def _symmetry(rng: Rng) -> RuleInstance:
    name, rule = pick(rng, SYMMETRIES)
    return with_swap(rng, f"symmetry/{name}", rule, background=0.2)


def _mirror(rng: Rng) -> RuleInstance:
    name, rule = pick(rng, MIRRORS)
    return with_swap(rng, f"mirror/{name}", rule, background=0.2)


def _tile(rng: Rng) -> RuleInstance:
    rows, columns = [(1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (3, 3)][int(rng.integers(6))]
    return with_swap(rng, f"tile/{rows}x{columns}", lambda a: np.tile(a, (rows, columns)), background=0.2)


def _scale(rng: Rng) -> RuleInstance:
    rows, columns = [(1, 2), (2, 1), (2, 2), (3, 3), (1, 3), (3, 1)][int(rng.integers(6))]
    return with_swap(rng, f"scale/{rows}x{columns}", lambda a: a.repeat(rows, 0).repeat(columns, 1), background=0.2)


def _shrink(rng: Rng) -> RuleInstance:
    """One cell for each block of equal cells: undoes `scale`."""
    factor = int(rng.integers(2, 4))
    suits = lambda a: a.shape[0] % factor == 0 and a.shape[1] % factor == 0  # noqa: E731
    blocks = lambda a, rng: a[::factor, ::factor].repeat(factor, 0).repeat(factor, 1)[: a.shape[0], : a.shape[1]]  # noqa: E731
    return with_swap(rng, f"shrink/{factor}", lambda a: a[::factor, ::factor], suits, 0.2, blocks)


def _shift(rng: Rng) -> RuleInstance:
    rows, columns = divmod(int(rng.integers(1, 9)), 3)
    return with_swap(rng, f"shift/{rows},{columns}", lambda a: np.roll(a, (rows, columns), (0, 1)))


def _recolour(rng: Rng) -> RuleInstance:
    """Two or three colours become others."""
    count = int(rng.integers(2, 4))
    source = sorted(rng.choice(10, size=count, replace=False).tolist())
    target = rng.choice(10, size=count, replace=False).tolist()
    table = np.arange(10, dtype=np.int8)
    table[source] = target
    key = ",".join(f"{a}{b}" for a, b in zip(source, target, strict=True))
    sprinkle = lambda a, rng: np.where(rng.random(a.shape) < 0.5, rng.choice(source, a.shape), a).astype(np.int8)  # noqa: E731
    return RuleInstance(f"recolour/{key}", lambda a: table[a], lambda a: bool(np.isin(a, source).any()), 0.15, sprinkle)


def _fill(rng: Rng) -> RuleInstance:
    """The whole grid takes one of its colours."""

    def most(array: Array) -> int:
        return int(np.bincount(array.ravel(), minlength=10).argmax())

    picks: dict[str, Callable[[Array], int]] = {
        "most-common": most,
        "top-left": lambda a: int(a[0, 0]),
        "top-right": lambda a: int(a[0, -1]),
        "bottom-left": lambda a: int(a[-1, 0]),
        "bottom-right": lambda a: int(a[-1, -1]),
    }
    name = list(picks)[int(rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1]))]
    rule: Rule = lambda a: np.full_like(a, picks[name](a))  # noqa: E731
    return with_swap(rng, f"fill/{name}", rule, lambda a: name != "most-common" or _has_clear_winner(a), 0.1)


def _has_clear_winner(array: Array) -> bool:
    counts = np.sort(np.bincount(array.ravel(), minlength=10))
    return bool(counts[-1] > counts[-2])


def _gravity(rng: Rng) -> RuleInstance:
    """Cells that are not 0 fall to one side, keeping their order."""
    name = list(GRAVITY)[int(rng.integers(4))]

    def rule(array: Array) -> Array:
        turned = np.rot90(array, -GRAVITY[name])
        order = np.argsort(turned != 0, axis=0, kind="stable")
        return np.rot90(np.take_along_axis(turned, order, axis=0), GRAVITY[name])

    return with_swap(rng, f"gravity/{name}", rule, background=0.55)


def _paint(rng: Rng) -> RuleInstance:
    """A fixed region takes a fixed colour."""
    regions: dict[str, Callable[[Array], Mask]] = {
        "top": lambda a: np.indices(a.shape)[0] == 0,
        "bottom": lambda a: np.indices(a.shape)[0] == a.shape[0] - 1,
        "left": lambda a: np.indices(a.shape)[1] == 0,
        "right": lambda a: np.indices(a.shape)[1] == a.shape[1] - 1,
        "diagonal": lambda a: np.indices(a.shape)[0] == np.indices(a.shape)[1],
        "odd-rows": lambda a: np.indices(a.shape)[0] % 2 == 1,
        "odd-columns": lambda a: np.indices(a.shape)[1] % 2 == 1,
    }
    regions["frame"] = lambda a: regions["top"](a) | regions["bottom"](a) | regions["left"](a) | regions["right"](a)
    name = list(regions)[int(rng.integers(len(regions)))]
    colour = int(rng.integers(10))
    rule: Rule = lambda a: np.where(regions[name](a), np.int8(colour), a)  # noqa: E731
    return RuleInstance(f"paint/{name}/{colour}", rule)


def _crop(rng: Rng) -> RuleInstance:
    """Keep a window in one corner."""
    corner, (rows, columns) = int(rng.integers(4)), rng.integers(1, 4, size=2).tolist()

    def rule(array: Array) -> Array:
        turned = np.rot90(array, corner)
        size = (rows, columns) if corner % 2 == 0 else (columns, rows)
        return np.rot90(turned[: size[0], : size[1]], -corner)

    suits = lambda a: a.shape[0] >= rows and a.shape[1] >= columns and a.size > rows * columns  # noqa: E731
    return with_swap(rng, f"crop/{corner}/{rows}x{columns}", rule, suits)


def _box(rng: Rng) -> RuleInstance:
    """Keep the bounding box of all that is not 0."""

    def rule(array: Array) -> Array:
        rows, columns = np.nonzero(array)
        return array[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    return with_swap(rng, "box", rule, lambda a: bool(a.any()) and rule(a).shape != a.shape, 0.8, always=True)


def _logic(rng: Rng) -> RuleInstance:
    """Combine the two halves of the grid cell by cell; a fixed colour where the combination is true."""
    name = list(BITS)[int(rng.integers(4))]
    axis, colour = int(rng.integers(2)), int(rng.integers(1, 10))

    def rule(array: Array) -> Array:
        first, second = np.split(array != 0, 2, axis=axis)
        return np.where(BITS[name](first, second), np.int8(colour), np.int8(0))

    return RuleInstance(f"logic/{name}/{axis}/{colour}", rule, lambda a: a.shape[axis] % 2 == 0, 0.5)


def _rays(rng: Rng) -> RuleInstance:
    """Every cell that is not 0 paints the 0s behind it in one direction."""
    name = list(GRAVITY)[int(rng.integers(4))]

    def rule(array: Array) -> Array:
        turned = np.rot90(array, -GRAVITY[name]).copy()
        for row in range(1, turned.shape[0]):
            turned[row] = np.where(turned[row] == 0, turned[row - 1], turned[row])
        return np.rot90(turned, GRAVITY[name])

    return with_swap(rng, f"rays/{name}", rule, lambda a: bool(a.any()), 0.75)


def _keep(rng: Rng) -> RuleInstance:
    """Keep one colour and clear the rest to 0, or clear that colour only."""
    colour, only = int(rng.integers(1, 10)), bool(rng.integers(2))
    rule: Rule = lambda a: np.where((a == colour) == only, a, np.int8(0))  # noqa: E731
    sprinkle = lambda a, rng: np.where(rng.random(a.shape) < 0.3, np.int8(colour), a)  # noqa: E731
    suits = lambda a: bool((a == colour).any())  # noqa: E731
    return RuleInstance(f"keep/{'only' if only else 'not'}/{colour}", rule, suits, 0.3, sprinkle)


def _judge(rng: Rng) -> RuleInstance:
    """One cell: one colour if the grid is its own mirror image, another if not."""
    name = ["flip-rows", "flip-columns", "transpose"][int(rng.integers(3))]
    yes, no = rng.choice(np.arange(1, 10), size=2, replace=False).tolist()

    def rule(array: Array) -> Array:
        return np.full((1, 1), yes if np.array_equal(SYMMETRIES[name](array), array) else no, dtype=np.int8)

    mirrored = lambda a, rng: _mirrored(a, name, rng)  # noqa: E731
    return RuleInstance(f"judge/{name}/{yes}{no}", rule, lambda a: _may_be(a, name), 0.4, mirrored)


def _may_be(array: Array, symmetry: str) -> bool:
    return symmetry != "transpose" or array.shape[0] == array.shape[1]


def _mirrored(array: Array, symmetry: str, rng: Rng) -> Array:
    """Half the time, the grid made its own mirror image."""
    if rng.random() < 0.5 or not _may_be(array, symmetry):
        return array
    at = np.indices(array.shape)
    keep = {"flip-rows": at[0], "flip-columns": at[1], "transpose": at[0] - at[1] + len(array)}[symmetry]
    other = SYMMETRIES[symmetry](keep)
    return np.where(keep <= other, array, SYMMETRIES[symmetry](array))


GENERAL_FAMILIES: dict[str, Callable[[Rng], RuleInstance]] = {
    "symmetry": _symmetry,
    "mirror": _mirror,
    "tile": _tile,
    "scale": _scale,
    "shrink": _shrink,
    "shift": _shift,
    "recolour": _recolour,
    "fill": _fill,
    "gravity": _gravity,
    "paint": _paint,
    "crop": _crop,
    "box": _box,
    "logic": _logic,
    "rays": _rays,
    "keep": _keep,
    "judge": _judge,
}
