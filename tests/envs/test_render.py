"""Grids as pictures."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest
from rich.console import Console

from seal_env.envs.render import BACKGROUND, CELL, FRAME, GAP, PALETTE, framed, grid_text, panels_ansi, panels_pixels
from seal_env.printable import printable
from seal_env.tasks.arc.grid import Grid

ALL_COLOURS: Grid = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def square(side: int, colour: int = 0) -> Grid:
    return ((colour,) * side,) * side


def test_ten_colours_are_all_different() -> None:
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == 10


def test_each_cell_is_drawn_in_its_colour() -> None:
    picture = panels_pixels([[("input", ALL_COLOURS)]])
    for row, colours in enumerate(ALL_COLOURS):
        for column, colour in enumerate(colours):
            middle = picture[GAP + row * CELL + CELL // 2, GAP + column * CELL + CELL // 2]
            assert middle.tolist() == PALETTE[colour].tolist()


def test_picture_is_as_large_as_its_grids() -> None:
    picture = panels_pixels([[("a", square(2)), ("b", square(3))], [("c", square(1))]])
    assert picture.dtype == np.uint8
    assert picture.shape == ((3 + 1) * CELL + 2 * GAP + 2 * GAP, (2 + 3) * CELL + 2 * GAP + 2 * GAP, 3)


def test_missing_prediction_is_a_box_and_not_a_grid() -> None:
    missing = panels_pixels([[("prediction", None)]])
    assert not any((missing == colour).all(axis=2).any() for colour in PALETTE)


def test_missing_prediction_reads_none() -> None:
    assert "none" in panels_ansi([[("prediction after", None)]])


def test_text_can_be_read_without_colour() -> None:
    assert grid_text(ALL_COLOURS).plain == "0 1 2 3 4 \n5 6 7 8 9 "


def test_ansi_has_the_palette_s_colours() -> None:
    red, green, blue = PALETTE[3].tolist()
    assert f"48;2;{red};{green};{blue}" in panels_ansi([[("input", square(1, 3))]])


@pytest.mark.parametrize("terminal", ["standard", "256"])
def test_a_terminal_of_few_colours_and_ansi_do_not_change_each_other(terminal: Literal["standard", "256"]) -> None:
    def drawn() -> str:
        console = Console(force_terminal=True, color_system=terminal, legacy_windows=False)
        with console.capture() as capture:
            console.print(grid_text(ALL_COLOURS))
        return capture.get()

    ansi, few = panels_ansi([[("input", ALL_COLOURS)]]), drawn()
    assert "48;2;" in ansi
    assert "48;2;" not in few
    assert panels_ansi([[("input", ALL_COLOURS)]]) == ansi
    assert drawn() == few


def test_ansi_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    lines = re.sub(r"\x1b\[[\d;]*m", "", panels_ansi([[("a", square(30)), ("b", square(30))]])).splitlines()
    assert max(map(len, lines)) <= 70
    assert sum(line.startswith("0 " * 29) for line in lines) == 60


HOSTILE = {
    "escapes": "\x1b[2J\x1b]0;title\x07\x9b2Ja",
    "controls": "a\0\a\b\r\v\fb",
    "directions": "\u202ea\u2066",
    "no characters": "\u200b\ue000\U0010ffff",
    "line separators": "a\u2028b\u2029c\x85d",
    "markup": "[bold]a[/bold][/red]",
    "long": "a" * 200_000,
    "lines": "a\n" * 50_000,
    "wide": "\u5b57" * 9_000,
    "marks": "a" + "\u0301" * 9_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_text_commands_no_terminal_and_makes_no_huge_picture(kind: str) -> None:
    rows = [[(HOSTILE[kind], HOSTILE[kind])]]
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", panels_ansi(rows))
    assert printable(drawn) == drawn
    assert len(drawn) < 30_000
    assert panels_pixels(rows).size < 4_000_000


@pytest.mark.parametrize("rows", [[], [[]], [[("a", ())]], [[("a", ((),))]], [[("a", "")]], [[("a", None)], []]])
def test_what_is_empty_is_drawn(rows: list[list[tuple[str, object]]]) -> None:
    assert panels_pixels(rows).ndim == 3
    assert isinstance(panels_ansi(rows), str)


@pytest.mark.parametrize("side", [1, 30])
@pytest.mark.parametrize("count", [1, 40])
def test_frame_shows_the_whole_picture_as_large_as_it_can(side: int, count: int) -> None:
    picture = panels_pixels([[("a", square(side, 3))] * count])
    frame = framed(picture)
    assert frame.shape == (*FRAME, 3)
    drawn = np.argwhere((frame != BACKGROUND).any(axis=2)).max(axis=0) / FRAME
    assert drawn.max() > 0.4


def test_long_text_says_how_much_is_left_out() -> None:
    assert "(7000 more characters)" in panels_ansi([[("passage", "a " * 5_000)]])
