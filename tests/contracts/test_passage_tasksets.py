"""What every registered set of passages keeps to. A new one is tested by being registered."""

from __future__ import annotations

import pytest

from seal_env.errors import UnknownTaskError
from seal_env.tasks.knowledge.loader import TASKSETS, load_passages
from seal_env.tasks.knowledge.validate import validate_all


@pytest.mark.parametrize("name", TASKSETS)
def test_every_task_proves_itself(name: str) -> None:
    assert validate_all(TASKSETS[name]()) == {}


@pytest.mark.parametrize("name", TASKSETS)
def test_ids_length_iteration_and_lookup_agree(name: str) -> None:
    tasks = load_passages(name)
    assert len(tasks) == len(set(tasks.task_ids)) == len(tasks.task_ids) > 0
    assert [task.task_id for task in tasks] == list(tasks.task_ids)
    assert tasks[tasks.task_ids[-1]].task_id == tasks.task_ids[-1]


@pytest.mark.parametrize("name", TASKSETS)
def test_two_loads_are_equal(name: str) -> None:
    assert list(TASKSETS[name](5)) == list(TASKSETS[name](5))


@pytest.mark.parametrize("name", TASKSETS)
def test_a_count_gives_the_first_tasks(name: str) -> None:
    assert load_passages(f"{name}:3").task_ids == TASKSETS[name](3).task_ids == TASKSETS[name]().task_ids[:3]


@pytest.mark.parametrize("name", TASKSETS)
def test_an_unknown_task_is_named(name: str) -> None:
    with pytest.raises(UnknownTaskError, match="'no-such-task'"):
        TASKSETS[name]()["no-such-task"]


@pytest.mark.parametrize("name", TASKSETS)
def test_it_knows_its_name_and_is_described_in_a_line(name: str) -> None:
    assert TASKSETS[name]().name == name
    assert 10 < len(TASKSETS[name].description) < 100
