"""Tasks on a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from seal_env.domains.arc import ARC
from seal_env.domains.knowledge import KNOWLEDGE
from seal_env.report.task_tables import task_panels
from seal_env.tasks.arc.grid import Grid, GridPair
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.types import Task


def shown(task: Task[tuple[GridPair, ...], GridPair], width: int) -> list[str]:
    console = Console(width=width, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(task_panels(task, ARC, console))
    return [line.rstrip() for line in capture.get().splitlines()]


def square(side: int, colour: int = 0) -> Grid:
    return ((colour,) * side,) * side


def task_of(side: int) -> Task[tuple[GridPair, ...], GridPair]:
    pairs = tuple(GridPair(square(side, colour), square(side, colour + 1)) for colour in range(3))
    return Task("t", pairs[:2], pairs[2:])


def test_small_pairs_of_a_task_share_a_line() -> None:
    lines = shown(task_of(2), 80)
    assert lines[0] == "t: demonstrations 2, test inputs 1, largest grid 2x2"
    assert any(line.startswith("input 2x2 -> output 2x2    input 2x2 -> output 2x2") for line in lines)
    assert any(line.startswith("0 0  -> 1 1") for line in lines)


def test_several_passages_of_a_task_are_counted_together() -> None:
    passages = (Passage("Tavok", "The ship is old."), Passage("Orvel", "It burns blue oil."))
    task = Task("t+1", passages, (Question("How old?", "old"),))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(task_panels(task, KNOWLEDGE, console))
    lines = capture.get().splitlines()
    assert lines[0] == "t+1: words 8, questions 1, self-edits 0, title Tavok, Orvel"
    assert lines[2:5:2] == ["Tavok: The ship is old.", "Orvel: It burns blue oil."]


def test_gold_of_the_test_input_is_drawn() -> None:
    lines = shown(task_of(2), 80)
    assert any("test input 2x2 -> gold 2x2" in line for line in lines)
    assert any("2 2  -> 3 3" in line for line in lines)


@pytest.mark.parametrize(("width", "row"), [(130, "0 " * 30 + "    " + "1 " * 30), (80, "0 " * 30), (50, "0" * 30)])
def test_largest_grids_are_whole_in_any_terminal(width: int, row: str) -> None:
    lines = shown(task_of(30), width)
    assert sum(line.replace(" -> ", "    ") == row.rstrip() for line in lines) == 30
    assert max(map(len, lines)) <= width
