"""Generated task sets: ids are recipes, `mini` and `synthetic` alike."""

from __future__ import annotations

from typing import Any

import pytest

from seal_env.errors import SettingError, UnknownTaskError
from seal_env.tasks.arc.mini.taskset import MINI
from seal_env.tasks.generated import TaskGenerator
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC


@pytest.fixture(params=[MINI, SYNTHETIC], ids=lambda generator: str(generator.prefix))
def generator(request: pytest.FixtureRequest) -> TaskGenerator[Any, Any]:
    chosen: TaskGenerator[Any, Any] = request.param
    return chosen


def test_any_id_resolves_whatever_the_set_iterates_over(generator: TaskGenerator[Any, Any]) -> None:
    task_id = f"{generator.prefix}-eval-7-123"
    assert generator.taskset("some", "train", 2)[task_id] == generator[task_id] == generator.draw("eval", 7, 123)
    assert generator[task_id].task_id == task_id


def test_iteration_agrees_with_ids(generator: TaskGenerator[Any, Any]) -> None:
    tasks = generator.taskset("some", "eval", 5, seed=3)
    assert [task.task_id for task in tasks] == list(tasks.task_ids)
    assert tasks.task_ids == tuple(f"{generator.prefix}-eval-3-{index}" for index in range(5))


@pytest.mark.parametrize(
    "task_id", ["{}", "{}-train-0", "{}-test-0-1", "{}-train-00-1", "{}-train-0--1", "{}-train-٣-1", "{}-eval-0-1\n", "", 3]
)
def test_other_ids_are_unknown(generator: TaskGenerator[Any, Any], task_id: Any) -> None:
    given = task_id.format(generator.prefix) if isinstance(task_id, str) else task_id
    assert given not in generator
    with pytest.raises(UnknownTaskError, match=f"any {generator.prefix}-train-SEED-INDEX"):
        generator.taskset("some", "train")[given]
    with pytest.raises(UnknownTaskError, match=f"any {generator.prefix}-train-SEED-INDEX"):
        generator[given]


def test_an_index_beyond_the_capacity_of_a_set_is_unknown() -> None:
    assert "synthetic-eval-0-9999" not in SYNTHETIC
    assert "mini-eval-0-9999" in MINI
    with pytest.raises(SettingError, match="take another seed"):
        SYNTHETIC.taskset("some", "eval", 9999)


def test_head_and_shuffle_keep_the_tasks(generator: TaskGenerator[Any, Any]) -> None:
    tasks = generator.taskset("some", "train", 20)
    assert tasks.head(3).task_ids == tasks.task_ids[:3]
    assert tasks.shuffle(0).task_ids != tasks.task_ids
    assert set(tasks.shuffle(0).task_ids) == set(tasks.task_ids)
