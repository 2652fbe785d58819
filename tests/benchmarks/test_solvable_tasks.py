"""Which tasks are small enough, and which an update solves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.solvable_tasks import main, small
from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.task import ArcTask
from seal_env.types import Task

PAIR = GridPair(((1, 2, 3),), ((1,), (2,), (3,)))


def task(name: str, demonstrations: int, test: GridPair = PAIR) -> ArcTask:
    return Task(name, (PAIR,) * demonstrations, (test,))


def test_small_tasks_have_few_cells_and_short_sides_and_come_smallest_first() -> None:
    wide = GridPair(((1, 2, 3, 4),), ((1,),))
    tasks = [task("c", 2), task("b", 1), task("a", 1), task("many", 3), task("wide", 1, wide)]
    assert [each.task_id for each in small(tasks, side=3, cells=12)] == ["a", "b", "c"]


def test_72_training_tasks_of_arc_are_small() -> None:
    assert len(small(tuple(load_taskset("arc1-train")), side=10, cells=200)) == 72


def test_what_is_gained_was_not_solved_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--subset", "mini-train:6", "--max-examples", "8", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["accuracies"]) == 6
    assert found["gained"] == [name for name, (before, after) in found["accuracies"].items() if before < 1 == after]
    assert ",".join(found["gained"]) in capsys.readouterr().out
