"""The training set of an ARC self-edit: leave-n-out tasks made of the demonstrations, augmented and permuted.

The construction is SEAL's (arXiv 2506.10943, ARC few-shot; checked against the sizes that the published code gives):
1. Every demonstration in turn is the pair to solve, shown all the others, and shown all but one of the others.
2. Each augmenter is applied to each such example, to all its grids alike; an example with a grid over 30 in either
   direction is dropped. The un-augmented examples are added and duplicates are dropped.
3. Each gets a copy with its demonstrations shuffled and, if any augmenter is on, its colours permuted. Duplicates are
   dropped again.
Only demonstrations come in, so no query can come out. What differs from the published code: the order and the random
numbers depend on the seed alone, never on Python's hash seed, and the random shift moves inputs and outputs alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from seal_env.tasks.arc.grid import MAX_SIDE, Grid, GridPair
from seal_env.tasks.arc.transforms import BASIC, CHAIN, REPEAT, SIZE, Transform, draw_colours, permute_colours, shift

MAX_SHIFT = 3

Rng = np.random.Generator


class ArcExample(NamedTuple):
    """One training example: demonstrations to show (there may be none) and the pair to learn."""

    demonstrations: tuple[GridPair, ...]
    pair: GridPair


def build_candidates(
    demonstrations: Sequence[GridPair], *, basic: bool, size: bool, chain: bool, repeat: bool, seed: int
) -> tuple[ArcExample, ...]:
    """All training examples of the switched-on augmentation groups, before any token filter or cap.

    Deterministic in the arguments. D demonstrations give D examples with D-1 demonstrations and D*(D-1) with D-2, times the
    augmenters, times two; at most. One demonstration gives one example, which shows none.
    """
    augmenters = [
        *((shift(*draw_shift(demonstrations, seed)), *BASIC) if basic else ()),
        *(SIZE if size else ()),
        *(CHAIN if chain else ()),
        *(REPEAT if repeat else ()),
    ]
    versions = [tuple(demonstrations), *(_augment(demonstrations, augmenter) for augmenter in augmenters)]
    candidates: list[ArcExample] = []
    for left_out in (1, 2):
        kept = _distinct(_leave_out(version, left_out) for version in versions)
        rng = np.random.default_rng([seed, left_out])
        copies = [_permuted(example, rng, colours=bool(augmenters)) for example in kept]
        candidates += _distinct([kept, copies])
    return tuple(candidates)


def draw_shift(demonstrations: Sequence[GridPair], seed: int) -> tuple[int, int]:
    """Rows and columns by which the random shift moves every grid of a task, cyclically.

    Each is drawn from 0 to 3, or to the longest side of the task less one if that is smaller. A grid that is smaller
    still comes round again: a side of n cells is moved by the distance modulo n, which is between 0 and min(4, n) - 1.
    """
    grids = [grid for pair in demonstrations for grid in pair]
    rng = np.random.default_rng([seed, 0])
    rows = rng.integers(0, min(MAX_SHIFT, max(len(grid) for grid in grids) - 1) + 1)
    columns = rng.integers(0, min(MAX_SHIFT, max(len(grid[0]) for grid in grids) - 1) + 1)
    return int(rows), int(columns)


def _augment(demonstrations: Sequence[GridPair], augmenter: Transform) -> tuple[GridPair | None, ...]:
    """Each demonstration transformed; None where a grid grows over the limit."""
    pairs = (augmenter.apply_pair(pair) for pair in demonstrations)
    return tuple(pair if _fits(pair.input) and _fits(pair.output) else None for pair in pairs)


def _fits(grid: Grid) -> bool:
    return len(grid) <= MAX_SIDE and len(grid[0]) <= MAX_SIDE


def _leave_out(pairs: Sequence[GridPair | None], count: int) -> list[ArcExample]:
    """Examples that leave out the pair to solve and, with `count` 2, one more; those with a missing pair are dropped."""
    examples = []
    for index, pair in enumerate(pairs):
        others = [other for position, other in enumerate(pairs) if position != index]
        shown = [others] if count == 1 else [others[:gap] + others[gap + 1 :] for gap in range(len(others))]
        for demonstrations in shown:
            present = tuple(other for other in demonstrations if other is not None)
            if pair is not None and len(present) == len(demonstrations):
                examples.append(ArcExample(present, pair))
    return examples


def _permuted(example: ArcExample, rng: Rng, colours: bool) -> ArcExample:
    """The example with its demonstrations in a random order and, if wanted, with a random permutation of its colours."""
    shuffled = tuple(example.demonstrations[index] for index in rng.permutation(len(example.demonstrations)))
    if not colours:
        return ArcExample(shuffled, example.pair)
    used = frozenset[int]().union(*(row for pair in (*shuffled, example.pair) for grid in pair for row in grid))
    table = draw_colours(used, rng)

    def recolour(pair: GridPair) -> GridPair:
        return GridPair(permute_colours(pair.input, table), permute_colours(pair.output, table))

    return ArcExample(tuple(map(recolour, shuffled)), recolour(example.pair))


def _distinct(groups: Iterable[Iterable[ArcExample]]) -> list[ArcExample]:
    """All examples of all groups, each once, in the order in which they first occur."""
    return list(dict.fromkeys(example for group in groups for example in group))
