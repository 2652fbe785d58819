"""What every registered task set keeps to. A new task set is tested by being registered."""

from __future__ import annotations

import pytest

from seal_env.errors import UnknownTaskError
from seal_env.tasks.arc.loader import TASKSETS, load_taskset
from seal_env.tasks.arc.validate import validate

SAMPLE = 12
SMALL = 100  # task sets up to this size are proved whole in the quick run


@pytest.mark.parametrize("name", TASKSETS)
def test_every_task_proves_itself(name: str) -> None:
    tasks = TASKSETS[name]()
    ids = tasks.task_ids if len(tasks) <= SMALL else tasks.task_ids[:: len(tasks) // SAMPLE]
    assert {task_id: problems for task_id in ids if (problems := validate(tasks[task_id]))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKSETS)
def test_every_task_of_the_whole_set_proves_itself(name: str) -> None:
    assert {task.task_id: problems for task in TASKSETS[name]() if (problems := validate(task))} == {}


@pytest.mark.parametrize("name", TASKSETS)
def test_ids_length_iteration_and_lookup_agree(name: str) -> None:
    tasks = load_taskset(name)
    assert len(tasks) == len(set(tasks.task_ids)) == len(tasks.task_ids) > 0
    assert [task.task_id for task in tasks] == list(tasks.task_ids)
    assert tasks[tasks.task_ids[-1]].task_id == tasks.task_ids[-1]


@pytest.mark.parametrize("name", TASKSETS)
def test_two_loads_are_equal(name: str) -> None:
    assert list(TASKSETS[name](5)) == list(TASKSETS[name](5))


@pytest.mark.parametrize("name", TASKSETS)
def test_a_count_gives_the_first_tasks(name: str) -> None:
    assert TASKSETS[name](3).task_ids == TASKSETS[name]().task_ids[:3]


@pytest.mark.parametrize("name", TASKSETS)
def test_an_unknown_task_is_named(name: str) -> None:
    with pytest.raises(UnknownTaskError, match="'no-such-task'"):
        TASKSETS[name]()["no-such-task"]


@pytest.mark.parametrize("name", TASKSETS)
def test_it_knows_its_name_and_is_described_in_a_line(name: str) -> None:
    assert TASKSETS[name]().name == name
    assert 10 < len(TASKSETS[name].description) < 100
