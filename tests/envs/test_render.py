"""Tasks in a terminal."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from rich.console import Console

from seal_env.envs.render import PALETTE, grid_text, panels_ansi
from seal_env.panels import Panel
from seal_env.printable import printable
from seal_env.tasks.arc.grid import Grid
from tests.helpers.texts import HOSTILE

ALL_COLOURS: Grid = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def square(side: int, colour: int = 0) -> Grid:
    return ((colour,) * side,) * side


def test_ten_colours_are_all_different() -> None:
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == 10


def test_missing_prediction_reads_none() -> None:
    assert "none" in panels_ansi([[Panel("prediction after", None)]])


def test_text_can_be_read_without_colour() -> None:
    assert grid_text(ALL_COLOURS).plain == "0 1 2 3 4 \n5 6 7 8 9 "


def test_ansi_has_the_palette_s_colours() -> None:
    red, green, blue = PALETTE[3].tolist()
    assert f"48;2;{red};{green};{blue}" in panels_ansi([[Panel("input", square(1, 3))]])


@pytest.mark.parametrize("terminal", ["standard", "256"])
def test_a_terminal_of_few_colours_and_ansi_do_not_change_each_other(terminal: Literal["standard", "256"]) -> None:
    def drawn() -> str:
        console = Console(force_terminal=True, color_system=terminal, legacy_windows=False)
        with console.capture() as capture:
            console.print(grid_text(ALL_COLOURS))
        return capture.get()

    ansi, few = panels_ansi([[Panel("input", ALL_COLOURS)]]), drawn()
    assert "48;2;" in ansi
    assert "48;2;" not in few
    assert panels_ansi([[Panel("input", ALL_COLOURS)]]) == ansi
    assert drawn() == few


def test_ansi_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    lines = re.sub(r"\x1b\[[\d;]*m", "", panels_ansi([[Panel("a", square(30)), Panel("b", square(30))]])).splitlines()
    assert max(map(len, lines)) <= 70
    assert sum(line.startswith("0 " * 29) for line in lines) == 60


@pytest.mark.parametrize("kind", HOSTILE)
def test_text_commands_no_terminal_and_is_cut(kind: str) -> None:
    rows = [[Panel(HOSTILE[kind], HOSTILE[kind])]]
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", panels_ansi(rows))
    assert printable(drawn) == drawn
    assert len(drawn) < 30_000


@pytest.mark.parametrize("rows", [[], [[]], [[Panel("a", ())]], [[Panel("a", "")]], [[Panel("a", None)], []]])
def test_what_is_empty_is_drawn(rows: list[list[Panel]]) -> None:
    assert isinstance(panels_ansi(rows), str)


def test_long_text_says_how_much_is_left_out() -> None:
    assert "(7000 more characters)" in panels_ansi([[Panel("passage", "a " * 5_000)]])


@pytest.mark.parametrize(("right", "written"), [(True, "prediction after: right"), (False, "prediction after: wrong")])
def test_right_and_wrong_are_written(right: bool, written: str) -> None:
    assert written in re.sub(r"\x1b\[[\d;]*m", "", panels_ansi([[Panel("prediction after", square(3), right)]]))
