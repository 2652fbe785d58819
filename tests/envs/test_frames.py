"""Tasks as frames of a video."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seal_env.envs.frames import BACKGROUND, CELLS, FRAME, RIGHT, WRONG, frame
from seal_env.envs.render import PALETTE
from seal_env.panels import Panel
from seal_env.tasks.arc.grid import Grid
from tests.helpers.texts import HOSTILE

ALL_COLOURS: Grid = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def square(side: int, colour: int = 3) -> Grid:
    return ((colour,) * side,) * side


def pixels(picture: NDArray[np.uint8], colour: Any) -> int:
    """How many are of this colour."""
    return int((picture == np.array(colour, dtype=np.uint8)).all(axis=2).sum())


def test_each_cell_is_drawn_in_its_colour() -> None:
    picture = frame([[Panel("input", ALL_COLOURS)]])
    assert all(pixels(picture, colour) > 40 * 40 for colour in PALETTE)


@pytest.mark.parametrize("side", [1, 30])
@pytest.mark.parametrize("count", [1, 5, 80])
def test_grids_are_as_large_as_the_frame_allows(side: int, count: int) -> None:
    picture = frame([[Panel("input", square(side))]] * count)
    assert picture.shape == (*FRAME, 3)
    assert picture.dtype == np.uint8
    most = min(CELLS[0] ** 2, 0.4 * FRAME[0] * FRAME[1] / (count * side * side))
    assert pixels(picture, PALETTE[3]) >= 0.2 * count * side * side * most


@pytest.mark.parametrize(("right", "colour", "other"), [(True, RIGHT, WRONG), (False, WRONG, RIGHT)])
@pytest.mark.parametrize("shown", [square(3), "blue", None])
def test_right_and_wrong_are_marked(shown: Any, right: bool, colour: Any, other: Any) -> None:
    marked = frame([[Panel("question", "Which?" if isinstance(shown, str) else square(2)), Panel("after", shown, right)]])
    assert pixels(marked, colour) > 20
    assert pixels(marked, other) == 0


def test_a_missing_grid_is_a_crossed_box() -> None:
    missing = frame([[Panel("prediction", None)]])
    assert not any(pixels(missing, colour) for colour in PALETTE)
    assert pixels(missing, BACKGROUND) < pixels(frame([]), BACKGROUND)


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_text_is_drawn_in_a_frame(kind: str) -> None:
    picture = frame([[Panel(HOSTILE[kind], HOSTILE[kind])] * 3] * 3, HOSTILE[kind])
    assert picture.shape == (*FRAME, 3)
    assert pixels(picture, BACKGROUND) < FRAME[0] * FRAME[1]


EMPTY = [[], [[]], [[Panel("a", ())]], [[Panel("a", ((),))]], [[Panel("a", "")]], [[Panel("a", None)], []]]


@pytest.mark.parametrize("rows", EMPTY)
def test_what_is_empty_is_drawn(rows: list[list[Panel]]) -> None:
    assert frame(rows).shape == (*FRAME, 3)


def test_texts_that_do_not_fit_are_cut_off_above_the_lower_edge() -> None:
    picture = frame([[Panel("question", f"Who is number {number}?"), Panel("gold", "Ada")] for number in range(200)])
    assert pixels(picture[-20:], BACKGROUND) == 20 * FRAME[1]
    assert pixels(picture[-60:-20], BACKGROUND) < 40 * FRAME[1]
