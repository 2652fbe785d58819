"""The demonstrations of a task as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from seal_env.errors import SettingError
from seal_env.tasks.arc.features import (
    CONTEXT_FEATURES,
    PAIR_FEATURES,
    GridShape,
    context_features,
    features,
    lengths,
    pair_features,
)
from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.mini.rules import family_of, mini_task


def pair(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, float]:
    return pair_features(GridPair(tuple(map(tuple, before)), tuple(map(tuple, after))))


SMALL = np.array([[1, 2], [3, 4], [5, 0]])
RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "kept": lambda a: a,
    "recoloured": lambda a: 9 - a,
    "tiled": lambda a: np.tile(a, (2, 1)),
    "enlarged": lambda a: a.repeat(2, 0).repeat(2, 1),
    "turned rotate-90": np.rot90,
    "turned transpose": lambda a: a.T,
    "turned flip-rows": lambda a: a[::-1],
    "input inside output": lambda a: np.pad(a, 1),
    "output inside input": lambda a: a[1:2],
}


@pytest.mark.parametrize("name", RULES)
def test_a_feature_is_full_for_its_rule_and_not_for_all_others(name: str) -> None:
    measured = {rule: pair(SMALL.tolist(), RULES[rule](SMALL).tolist())[name] for rule in RULES}
    assert measured[name] == 1.0
    assert min(measured.values()) < 0.7


def test_sizes_and_colours_are_measured() -> None:
    measured = pair([[0, 0], [1, 2]], [[0, 0, 0, 0], [0, 1, 3, 3]])
    assert (measured["rows ratio"], measured["columns ratio"], measured["same size"]) == (0.0, 0.5, 0.0)
    assert (measured["new colours"], measured["lost colours"]) == (0.1, 0.1)
    assert (measured["input share of 0"], measured["output share of 3"]) == (0.5, 0.25)
    assert (measured["plain top"], measured["plain bottom"], measured["plain rows"]) == (1.0, 0.0, 0.5)
    assert pair([[1, 1]], [[1] * 30])["columns ratio"] == 1.0


def test_cells_that_all_outputs_share_are_counted() -> None:
    context = (GridPair(((1, 2),), ((9, 2),)), GridPair(((3, 4),), ((9, 4),)))
    measured = context_features(context)
    assert (measured["inputs' cells in common"], measured["outputs' cells in common"]) == (0.0, 0.5)
    assert measured["outputs of one size"] == 1.0
    assert context_features((*context, GridPair(((3,),), ((3,),))))["outputs of one size"] == 0.0


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("subset", ["mini-train:20", "seal-eval"])
def test_parts_have_their_lengths_and_bounds(subset: str, one_hot: bool) -> None:
    tasks = load_taskset(subset)
    shape = GridShape.of(tasks)
    for task in tasks:
        made = features(task.context, shape, one_hot)
        assert {part: len(array) for part, array in made.items()} == lengths(shape, one_hot)
        assert all(np.abs(array).max() <= 1 and array.dtype == np.float32 for array in made.values())


def test_cells_can_be_read_back() -> None:
    context = load_taskset("mini-train:1")["mini-train-0-0"].context
    shape = GridShape(5, len(context) + 1)
    scaled = features(context, shape)["grids"].reshape(-1, 2, 5, 5)
    hot = features(context, shape, one_hot=True)["grids"].reshape(-1, 2, 5, 5, 10)
    for number, grids in enumerate(context):
        for side, grid in enumerate(grids):
            rows, columns = len(grid), len(grid[0])
            assert np.array_equal(np.rint(scaled[number, side, :rows, :columns] * 10) - 1, grid)
            assert np.array_equal(hot[number, side, :rows, :columns].argmax(-1), grid)
            assert scaled[number, side].astype(bool).sum() == hot[number, side].sum() == rows * columns
    assert not scaled[-1].any()
    assert features(context, shape)["demonstrations"].tolist() == [1.0] * len(context) + [0.0]


@pytest.mark.slow
def test_the_summary_tells_rule_families_apart() -> None:
    """A linear map from 120 tasks' summaries finds the family of 80 others far more often than chance."""
    drawn = [mini_task("train", 3, index) for index in range(200)]
    shape = GridShape.of([task for _, task in drawn])
    names = sorted({family_of(key) for key, _ in drawn})
    label = np.array([names.index(family_of(key)) for key, _ in drawn])
    x = np.array([[*features(task.context, shape)["summary"], 1.0] for _, task in drawn])
    seen, other = x[:120], x[120:]
    weights = np.linalg.solve(seen.T @ seen + np.eye(x.shape[1]), seen.T @ np.eye(len(names))[label[:120]])
    right = (other @ weights).argmax(1) == label[120:]
    assert x.shape[1] == len(PAIR_FEATURES) + len(CONTEXT_FEATURES) + 1
    assert len(names) == 13
    assert right.mean() > 2 * np.bincount(label[120:]).max() / len(right)


def test_a_shape_is_of_some_tasks() -> None:
    assert GridShape.of(load_taskset("mini-train:30")) == GridShape(side=4, demonstrations=4)
    with pytest.raises(SettingError, match="at least one task"):
        GridShape.of([])
