"""`mini`: small generated tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from seal_env.errors import SettingError
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.mini.composed_rules import MINI_FAMILIES
from seal_env.tasks.arc.mini.rule import Split
from seal_env.tasks.arc.mini.rules import FAMILIES, Shape, draw_pairs, draw_task, family_of, mini_task
from seal_env.tasks.arc.mini.taskset import MINI

DIGESTS = {
    "train": "56ecce425d34ebc836c8a30a8cef752b498c2639734c367aaf9889370037fcea",
    "eval": "7c29b143b25c4e6afca48098bd3ae75b5a778eb7c21d6b7fd2827028d5c78038",
}
"""Of the first 50 tasks of each set: ids are recipes that stored results refer to."""


@pytest.mark.parametrize("which", DIGESTS)
def test_the_tasks_behind_ids_never_change(which: str) -> None:
    content = [(task.task_id, task.context, task.queries) for task in MINI.taskset(which, which, 50)]
    assert hashlib.sha256(json.dumps(content).encode()).hexdigest() == DIGESTS[which]


@pytest.fixture(scope="module")
def keys() -> dict[str, list[str]]:
    """Split -> the rules of its first tasks: 50 of one seed and 20 of another."""
    drawn = [(seed, index) for seed, count in ((0, 50), (7, 20)) for index in range(count)]
    splits: tuple[Split, ...] = ("train", "eval")
    return {split: [mini_task(split, seed, index)[0] for seed, index in drawn] for split in splits}


@pytest.mark.integration
def test_splits_share_no_rule_instance(keys: dict[str, list[str]]) -> None:
    assert not set(keys["train"]) & set(keys["eval"])
    assert min(len(set(each)) for each in keys.values()) > 20


@pytest.mark.integration
@pytest.mark.parametrize("name", ["mini-train", "mini-eval"])
def test_grids_are_no_larger_than_the_shape_allows(name: str) -> None:
    grids = [grid for task in load_taskset(name) for pair in (*task.context, *task.queries) for grid in pair]
    assert max(max(len(grid), len(grid[0])) for grid in grids) == Shape.max_side == 4


@pytest.mark.parametrize(
    ("family", "split"), [*((family, "train") for family in FAMILIES), *((family, "eval") for family in MINI_FAMILIES)]
)
def test_every_family_gives_tasks_of_its_splits(family: str, split: Split) -> None:
    for seed in range(3):
        instance, pairs = draw_task(np.random.default_rng(seed), split, families=(family,), demonstrations=(2, 2))
        assert (family_of(instance.key), instance.split, len(pairs)) == (family, split, 3)
        assert all(Shape.min_side <= side <= Shape.max_side for pair in pairs for side in np.shape(pair.input))
        assert any(pair.input != pair.output for pair in pairs)


@pytest.mark.integration
def test_tasks_are_of_all_mini_families_and_no_other(keys: dict[str, list[str]]) -> None:
    assert {family_of(key) for key in keys["train"]} == set(MINI_FAMILIES)


def test_a_family_without_rules_of_the_split_is_refused() -> None:
    """What `judge` says of a grid that is its own mirror image shows on no fixed grid: all its rules are of one split."""
    with pytest.raises(SettingError, match="families='judge'"):
        draw_task(np.random.default_rng(0), "eval", families=("judge",))


def test_a_shape_that_suits_no_rule_gives_no_pairs() -> None:
    rng = np.random.default_rng(0)
    instance, _ = draw_task(rng, "train", families=("shrink",))
    assert draw_pairs(instance, 1, Shape(max_side=1, min_side=1), rng, patience=10) is None


@pytest.mark.parametrize("max_side", [4, 7])
def test_a_larger_shape_gives_larger_grids(max_side: int) -> None:
    rng = np.random.default_rng(0)
    tasks = [draw_task(rng, "train", Shape(max_side=max_side), families=("symmetry",))[1] for _ in range(10)]
    assert max(side for pairs in tasks for pair in pairs for side in np.shape(pair.input)) == max_side


@pytest.mark.integration
@pytest.mark.parametrize("name", ["mini-train", "mini-eval"])
def test_there_are_three_or_four_demonstrations_and_one_query(name: str) -> None:
    assert {(len(task.context), len(task.queries)) for task in load_taskset(name)} == {(3, 1), (4, 1)}


def test_no_query_input_is_a_demonstration_input() -> None:
    assert all(task.queries[0].input not in [pair.input for pair in task.context] for task in load_taskset("mini-eval"))


def test_mini_is_mini_train() -> None:
    assert load_taskset("mini").task_ids == load_taskset("mini-train").task_ids


def test_unknown_split_is_refused() -> None:
    with pytest.raises(SettingError, match="split='test'"):
        mini_task("test", 0, 0)  # type: ignore[arg-type]


def test_tasks_do_not_depend_on_the_hash_seed(outputs_by_hash_seed: Callable[[str, Sequence[str]], set[str]]) -> None:
    code = "from seal_env.tasks.arc.mini.rules import mini_task; print([mini_task('eval', 0, i) for i in range(10)])"
    assert len(outputs_by_hash_seed(code, ("1", "2"))) == 1
