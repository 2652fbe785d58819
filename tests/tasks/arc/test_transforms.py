"""Transformations of grids: each does what it says and can be undone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_env.tasks.arc import transforms
from seal_env.tasks.arc.grid import Grid, GridPair
from seal_env.tasks.arc.transforms import TRANSFORMS, draw_colours, invert_colours, permute_colours, shift

GRID: Grid = ((1, 2, 3), (4, 5, 6))

GRIDS = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(*[st.tuples(*[st.integers(0, 9)] * shape[1])] * shape[0])
)
COLOURS = st.frozensets(st.integers(0, 9))
SEEDS = st.integers(0, 2**32)

EXPECTED: dict[str, Grid] = {
    "identity": GRID,
    "rotate-90": ((3, 6), (2, 5), (1, 4)),
    "rotate-180": ((6, 5, 4), (3, 2, 1)),
    "rotate-270": ((4, 1), (5, 2), (6, 3)),
    "flip-0": ((4, 5, 6), (1, 2, 3)),
    "flip-1": ((3, 2, 1), (6, 5, 4)),
    "transpose": ((1, 4), (2, 5), (3, 6)),
    "reflect-0-after": ((1, 2, 3), (4, 5, 6), (4, 5, 6), (1, 2, 3)),
    "reflect-0-before": ((4, 5, 6), (1, 2, 3), (1, 2, 3), (4, 5, 6)),
    "reflect-1-after": ((1, 2, 3, 3, 2, 1), (4, 5, 6, 6, 5, 4)),
    "reflect-1-before": ((3, 2, 1, 1, 2, 3), (6, 5, 4, 4, 5, 6)),
    "double-2x2": ((1, 1, 2, 2, 3, 3), (1, 1, 2, 2, 3, 3), (4, 4, 5, 5, 6, 6), (4, 4, 5, 5, 6, 6)),
    "double-2x1": ((1, 2, 3), (1, 2, 3), (4, 5, 6), (4, 5, 6)),
    "double-1x2": ((1, 1, 2, 2, 3, 3), (4, 4, 5, 5, 6, 6)),
    "repeat-2x1": ((1, 2, 3), (4, 5, 6), (1, 2, 3), (4, 5, 6)),
    "repeat-1x2": ((1, 2, 3, 1, 2, 3), (4, 5, 6, 4, 5, 6)),
    "repeat-2x2": ((1, 2, 3, 1, 2, 3), (4, 5, 6, 4, 5, 6)) * 2,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_transform_does_what_its_name_says(name: str) -> None:
    assert TRANSFORMS[name].apply(GRID) == EXPECTED[name]


def test_only_chains_are_left_to_their_parts() -> None:
    assert {name for name in TRANSFORMS if name not in EXPECTED} == {
        f"{part}+double-2x2" for part in ("rotate-90", "rotate-180", "rotate-270", "flip-0", "flip-1", "transpose")
    }


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if "+" in name])
def test_chain_is_one_after_the_other(name: str) -> None:
    first, second = (TRANSFORMS[part] for part in name.split("+"))
    assert TRANSFORMS[name].apply(GRID) == second.apply(first.apply(GRID))


@pytest.mark.parametrize("name", TRANSFORMS)
@given(grid=GRIDS)
def test_every_transform_can_be_undone(name: str, grid: Grid) -> None:
    assert TRANSFORMS[name].undo(TRANSFORMS[name].apply(grid)) == grid


@given(grid=GRIDS, rows=st.integers(0, 3), columns=st.integers(0, 3))
def test_every_shift_can_be_undone(grid: Grid, rows: int, columns: int) -> None:
    assert shift(rows, columns).undo(shift(rows, columns).apply(grid)) == grid


def test_shift_moves_down_and_right_and_comes_round() -> None:
    assert shift(1, 2).apply(GRID) == ((5, 6, 4), (2, 3, 1))


def test_pair_is_transformed_on_both_sides() -> None:
    assert TRANSFORMS["flip-0"].apply_pair(GridPair(GRID, GRID)) == (EXPECTED["flip-0"], EXPECTED["flip-0"])


def test_groups_have_the_published_sizes() -> None:
    assert [len(group) for group in (transforms.BASIC, transforms.SIZE, transforms.CHAIN, transforms.REPEAT)] == [
        10,
        3,
        6,
        3,
    ]


@given(used=COLOURS, seed=SEEDS)
def test_drawn_colours_are_a_permutation_that_keeps_0(used: frozenset[int], seed: int) -> None:
    table = draw_colours(used, np.random.default_rng(seed))
    assert sorted(table) == list(range(10))
    assert table[0] == 0


@given(used=COLOURS.filter(lambda used: len(used - {0}) <= 4), seed=SEEDS)
def test_few_colours_all_go_to_unused_ones(used: frozenset[int], seed: int) -> None:
    table = draw_colours(used, np.random.default_rng(seed))
    assert not {table[colour] for colour in used - {0}} & used


@given(seed=SEEDS)
def test_colours_swap_in_pairs_when_none_is_unused(seed: int) -> None:
    table = draw_colours(frozenset(range(10)), np.random.default_rng(seed))
    assert invert_colours(table) == table


@given(used=COLOURS.filter(lambda used: 5 <= len(used - {0}) <= 8), seed=SEEDS)
def test_many_colours_reach_beyond_the_used_ones_or_swap(used: frozenset[int], seed: int) -> None:
    table = draw_colours(used, np.random.default_rng(seed))
    stayed = [colour for colour in used - {0} if table[colour] in used]
    assert all(table[table[colour]] == colour for colour in stayed)


@given(grid=GRIDS, seed=SEEDS)
def test_permuted_colours_come_back(grid: Grid, seed: int) -> None:
    table = draw_colours(frozenset(cell for row in grid for cell in row), np.random.default_rng(seed))
    assert permute_colours(permute_colours(grid, table), invert_colours(table)) == grid


def test_colours_follow_the_table() -> None:
    assert permute_colours(((0, 1), (2, 9)), (0, 2, 1, 3, 4, 5, 6, 7, 9, 8)) == ((0, 2), (1, 8))
