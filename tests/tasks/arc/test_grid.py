"""Grids: checking, writing, reading."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_env.errors import SettingError, TaskError
from seal_env.tasks.arc.grid import MAX_SIDE, Grid, GridFormat, cell_accuracy, check_grid, to_array, to_grid

FORMATS = ("plain", "lettered")


@st.composite
def grids(draw: st.DrawFn, max_side: int = MAX_SIDE) -> Grid:
    rows, columns = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    cells = draw(st.binary(min_size=rows * columns, max_size=rows * columns))
    return tuple(tuple(cell % 10 for cell in cells[row * columns : (row + 1) * columns]) for row in range(rows))


@pytest.mark.parametrize("name", FORMATS)
@given(grid=grids())
def test_what_is_written_is_read_back(name: str, grid: Grid) -> None:
    assert GridFormat(name).read(GridFormat(name).write(grid)) == grid


@pytest.mark.parametrize("name", FORMATS)
@given(grid=grids())
def test_what_is_written_matches_the_pattern(name: str, grid: Grid) -> None:
    assert re.fullmatch(GridFormat(name).pattern, GridFormat(name).write(grid))


@given(grid=grids())
def test_array_and_back_is_the_same_grid(grid: Grid) -> None:
    assert to_grid(to_array(grid)) == grid


@given(text=st.text(alphabet="0123 \n\tab٣-", max_size=40))
@pytest.mark.parametrize("name", FORMATS)
def test_whatever_is_read_is_a_legal_grid(name: str, text: str) -> None:
    grid = GridFormat(name).read(text)
    assert grid is None or check_grid(grid, "read") == grid


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "1  2",  # two spaces
        "1\t2",
        "12",
        "1 2\n3",  # ragged
        "1 2\n\n3 4",  # blank line within
        "1 x",
        "1 2.",
        "-1 2",
        "٣ ٤",  # digits, but not ASCII
        "\uff11 \uff12",  # full width
        "²",
        "1,2",
        "[[1, 2]]",
        "The answer is\n1 2",
        "\n".join(["1"] * 31),
        " ".join(["1"] * 31),
    ],
)
def test_plain_refuses(text: str) -> None:
    assert GridFormat("plain").read(text) is None


@pytest.mark.parametrize("text", ["1 2", "b 1 2", "a1 2", "a  1 2", "a 1\na 2", "a 1\nc 2", "A 1", "a", "a "])
def test_lettered_refuses(text: str) -> None:
    assert GridFormat("lettered").read(text) is None


@pytest.mark.parametrize("text", ["1 2\n3 4", "  1 2\n3 4\n\n", "1 2 \n 3 4", "1 2\r\n3 4"])
def test_outer_white_space_is_forgiven(text: str) -> None:
    assert GridFormat("plain").read(text) == ((1, 2), (3, 4))


def test_thirty_rows_are_read() -> None:
    assert GridFormat("plain").read("\n".join(["1"] * 30)) == ((1,),) * 30


def test_lettered_rows_go_on_in_capitals() -> None:
    assert GridFormat("lettered").write(((0,),) * 30).splitlines()[25:28] == ["z 0", "A 0", "B 0"]


def test_unknown_format_is_named_with_what_is_legal() -> None:
    with pytest.raises(SettingError, match=r"grid_format='json'.*'plain' or 'lettered'"):
        GridFormat("json")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "1 to 30 rows"),
        (None, "1 to 30 rows"),
        ("12", "1 to 30 rows"),
        ([[1]] * 31, "31 rows"),
        ([[]], "row 0"),
        ([[1] * 31], "row 0"),
        ([[1, 2], [3]], "row 1: 1 columns"),
        ([[1], 2], "row 1"),
        ([[10]], "colour 10"),
        ([[-1]], "colour -1"),
        ([[1.0]], "colour 1.0"),
        ([[True]], "colour True"),
        ([["1"]], "colour '1'"),
        ([[None]], "colour None"),
    ],
)
def test_check_grid_says_what_is_wrong(rows: object, says: str) -> None:
    with pytest.raises(TaskError, match=f"^here.*{says}"):
        check_grid(rows, "here")


def test_cell_accuracy_counts_right_cells() -> None:
    assert cell_accuracy(((1, 2), (3, 4)), ((1, 2), (3, 0))) == 0.75


@pytest.mark.parametrize("prediction", [None, ((1,),), ((1, 2, 3),)])
def test_cell_accuracy_is_zero_for_another_shape(prediction: Grid | None) -> None:
    assert cell_accuracy(prediction, ((1, 2),)) == 0.0
