"""What every registered task set keeps to, grids or passages. A new one is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seal_env.errors import UnknownTaskError
from seal_env.tasks.arc import loader as arc
from seal_env.tasks.arc.task import ArcTaskset
from seal_env.tasks.arc.validate import validate as validate_grids
from seal_env.tasks.knowledge import loader as knowledge
from seal_env.tasks.knowledge.passage import PassageTaskset
from seal_env.tasks.knowledge.validate import validate as validate_passage
from seal_env.types import Task

SAMPLE = 12
SMALL = 100  # task sets up to this size are proved whole in the quick run
MAKERS: dict[str, Any] = {**arc.TASKSETS, **knowledge.TASKSETS}


def load(name: str) -> ArcTaskset | PassageTaskset:
    return arc.load_taskset(name) if name in arc.TASKSETS else knowledge.load_passages(name)


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen.startswith("arc2"):
        request.getfixturevalue("arc_agi_2")
    return chosen


@pytest.fixture
def validate(name: str) -> Callable[[Task[Any, Any]], list[str]]:
    return validate_grids if name in arc.TASKSETS else validate_passage


def test_no_name_is_taken_twice() -> None:
    assert len(MAKERS) == len(arc.TASKSETS) + len(knowledge.TASKSETS)


@pytest.mark.integration
def test_every_task_proves_itself(name: str, validate: Callable[[Task[Any, Any]], list[str]]) -> None:
    tasks = MAKERS[name]()
    ids = tasks.task_ids if len(tasks) <= SMALL else tasks.task_ids[:: len(tasks) // SAMPLE]
    assert {task_id: problems for task_id in ids if (problems := validate(tasks[task_id]))} == {}


@pytest.mark.slow
def test_every_task_of_the_whole_set_proves_itself(name: str, validate: Callable[[Task[Any, Any]], list[str]]) -> None:
    assert {task.task_id: problems for task in MAKERS[name]() if (problems := validate(task))} == {}


@pytest.mark.integration
def test_ids_length_iteration_and_lookup_agree(name: str) -> None:
    tasks = load(name)
    assert len(tasks) == len(set(tasks.task_ids)) == len(tasks.task_ids) > 0
    assert [task.task_id for task in tasks] == list(tasks.task_ids)
    assert tasks[tasks.task_ids[-1]].task_id == tasks.task_ids[-1]


def test_two_loads_are_equal(name: str) -> None:
    assert list(MAKERS[name](5)) == list(MAKERS[name](5))


def test_a_count_gives_the_first_tasks(name: str) -> None:
    assert MAKERS[name](3).task_ids == MAKERS[name]().task_ids[:3]


def test_an_unknown_task_is_named(name: str) -> None:
    with pytest.raises(UnknownTaskError, match="'no-such-task'"):
        MAKERS[name]()["no-such-task"]


def test_it_knows_its_name_and_is_described_in_a_line(name: str) -> None:
    assert MAKERS[name]().name == name
    assert 10 < len(MAKERS[name].description) < 100
