"""The table families of `mini`: each rule is a table drawn at random, of places or of colours.

There are too many tables to know them all beforehand, and a table is hard to read off a few demonstrations but easy to
learn by heart: such a rule rewards the update of the weights, and which training examples help depends on what the table is
about. A turned grid contradicts a table of places; a permutation of colours wipes out a table of colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seal_env.tasks.arc.grid import Array, GridPair
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.rule import SYMMETRIES, Rng, Rule, RuleInstance, pick

SIZES = ((2, 2), (2, 3), (3, 2), (3, 3))
ANY_COLOUR = tuple(range(10))
KEEPING: dict[str, Rule] = {
    "same": lambda a: a,
    **{name: SYMMETRIES[name] for name in ("flip-rows", "flip-columns", "rotate-180")},
}


def _one(rng: Rng, choices: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return choices[int(rng.integers(len(choices)))]


def _colours(rng: Rng, count: int, lowest: int = 0) -> list[int]:
    """Different colours, from `lowest` on."""
    drawn: list[int] = rng.choice(np.arange(lowest, 10), size=count, replace=False).tolist()
    return drawn


def _name(numbers: Sequence[int]) -> str:
    return "".join(map(str, numbers))


def _shows_all_colours(pairs: Sequence[GridPair]) -> bool:
    """The demonstrations' inputs show every colour of the last input."""
    shown = {cell for pair in pairs[:-1] for row in pair.input for cell in row}
    return all(cell in shown for row in pairs[-1].input for cell in row)


def _rearrange(rng: Rng) -> RuleInstance:
    """Every cell of the output is a fixed cell of the input, each used once."""
    rows, columns = size = _one(rng, SIZES)
    places: list[int] = rng.permutation(rows * columns).tolist()
    rule: Rule = lambda a: a.ravel()[places].reshape(size)  # noqa: E731
    return RuleInstance(f"rearrange/{rows}x{columns}/{_name(places)}", rule, background=0.0, size=size, palette=ANY_COLOUR)


def _select(rng: Rng) -> RuleInstance:
    """The output is smaller; each of its cells is a fixed cell of the input."""
    rows, columns = size = _one(rng, SIZES[1:])
    smaller = _one(rng, ((1, 2), (2, 1), (1, 3), (3, 1), (2, 2)))
    places: list[int] = rng.permutation(rows * columns)[: smaller[0] * smaller[1]].tolist()
    rule: Rule = lambda a: a.ravel()[places].reshape(smaller)  # noqa: E731
    key = f"select/{rows}x{columns}/{smaller[0]}x{smaller[1]}/{_name(places)}"
    return RuleInstance(key, rule, background=0.0, size=size, palette=ANY_COLOUR)


def _stamp(rng: Rng) -> RuleInstance:
    """A fixed set of cells takes a fixed colour."""
    rows, columns = size = _one(rng, SIZES)
    places: list[int] = sorted(rng.permutation(rows * columns)[: int(rng.integers(2, max(3, rows * columns - 3)))].tolist())
    colour = int(rng.integers(10))

    def rule(array: Array) -> Array:
        painted = array.copy()
        painted.ravel()[places] = colour
        return painted

    return RuleInstance(
        f"stamp/{rows}x{columns}/{_name(places)}/{colour}", rule, background=0.0, size=size, palette=ANY_COLOUR
    )


def _cipher(rng: Rng) -> RuleInstance:
    """Each of a few colours becomes another one."""
    count = int(rng.integers(3, 6))
    source, target = sorted(_colours(rng, count)), _colours(rng, count)
    table = np.arange(10, dtype=np.int8)
    table[source] = target
    return RuleInstance(
        f"cipher/{_name(source)}/{_name(target)}",
        lambda array: table[array],
        lambda array: len(np.unique(array)) > 1,
        background=0.0,
        palette=tuple(source),
        fair=_shows_all_colours,
    )


def _lines(rng: Rng) -> RuleInstance:
    """Each row (or column) of the output is a fixed row (or column) of the input."""
    axis, count = int(rng.integers(2)), int(rng.integers(3, 5))
    order: list[int] = rng.integers(count, size=int(rng.integers(2, 4))).tolist()
    if rng.random() < 0.5:
        order = rng.permutation(count).tolist()
    rule: Rule = lambda a: a.take(order, axis=axis)  # noqa: E731
    suits = lambda a: a.shape[axis] == count  # noqa: E731
    return RuleInstance(f"lines/{axis}/{count}/{_name(order)}", rule, suits, background=0.0, palette=ANY_COLOUR)


def _mosaic(rng: Rng) -> RuleInstance:
    """Several copies of the grid side by side, each flipped or turned in its own way."""
    rows, columns = _one(rng, ((1, 2), (2, 1), (2, 2)))
    chosen = [pick(rng, KEEPING) for _ in range(rows * columns)]
    blocks = [[rule for _, rule in chosen[row * columns : (row + 1) * columns]] for row in range(rows)]
    rule: Rule = lambda a: np.block([[block(a) for block in line] for line in blocks])  # noqa: E731
    key = f"mosaic/{rows}x{columns}/{','.join(name for name, _ in chosen)}"
    return RuleInstance(key, rule, background=0.1)


def _combine(rng: Rng) -> RuleInstance:
    """The two halves laid over each other: a colour for each of the four cases of empty or not."""
    axis, colours = int(rng.integers(2)), rng.integers(10, size=4).tolist()
    table = np.array(colours, dtype=np.int8)

    def rule(array: Array) -> Array:
        first, second = np.split(array != 0, 2, axis=axis)
        chosen: Array = table[2 * first + second]
        return chosen

    return RuleInstance(f"combine/{axis}/{_name(colours)}", rule, lambda a: a.shape[axis] % 2 == 0, 0.5)


def _substitute(rng: Rng) -> RuleInstance:
    """Every cell becomes a small pattern, one for each colour."""
    shape = _one(rng, ((1, 2), (2, 1)))
    palette = sorted(_colours(rng, 3))
    patterns = rng.integers(10, size=(3, *shape)).astype(np.int8)

    def rule(array: Array) -> Array:
        chosen = patterns[np.searchsorted(palette, array)]
        return chosen.transpose(0, 2, 1, 3).reshape(array.shape[0] * shape[0], array.shape[1] * shape[1])

    key = f"substitute/{shape[0]}x{shape[1]}/{_name(palette)}/{_name(patterns.ravel().tolist())}"
    return RuleInstance(key, rule, background=0.0, palette=tuple(palette), fair=_shows_all_colours)


def _neighbour(rng: Rng) -> RuleInstance:
    """A cell of one colour that has another colour on one side takes a third."""
    first, second, third = _colours(rng, 3, lowest=1)
    turns = int(rng.integers(4))

    def rule(array: Array) -> Array:
        turned = np.rot90(array, turns)
        hit = (turned[:, 1:] == first) & (turned[:, :-1] == second)
        changed = turned.copy()
        changed[:, 1:][hit] = third
        return np.rot90(changed, -turns)

    def suits(array: Array) -> bool:
        return not np.array_equal(rule(array), array)

    return RuleInstance(f"neighbour/{turns}/{first}{second}{third}", rule, suits, 0.3, palette=(first, second))


def _turned_rule(name: str, family: str) -> Callable[[Rng], RuleInstance]:
    """Rules of a general family followed by a flip, a turn or a transposition."""

    def draw(rng: Rng) -> RuleInstance:
        symmetry, turn = pick(rng, SYMMETRIES)
        first = GENERAL_FAMILIES[family](rng)
        rule: Rule = lambda a: turn(first.apply(a))  # noqa: E731
        return RuleInstance(
            f"{name}/{symmetry}/{first.key}", rule, first.suits, first.background, first.prepare, first.colours
        )

    return draw


def _paint_twice(rng: Rng) -> RuleInstance:
    """Two regions take a colour each, one after the other."""
    first, second = GENERAL_FAMILIES["paint"](rng), GENERAL_FAMILIES["paint"](rng)
    rule: Rule = lambda a: second.apply(first.apply(a))  # noqa: E731
    return RuleInstance(f"paint-twice/{first.key}/{second.key}", rule)


TABLE_FAMILIES: dict[str, Callable[[Rng], RuleInstance]] = {
    "rearrange": _rearrange,
    "select": _select,
    "stamp": _stamp,
    "cipher": _cipher,
    "lines": _lines,
    "mosaic": _mosaic,
    "combine": _combine,
    "substitute": _substitute,
    "neighbour": _neighbour,
    "paint-twice": _paint_twice,
    "turned-crop": _turned_rule("turned-crop", "crop"),
    "turned-gravity": _turned_rule("turned-gravity", "gravity"),
}
