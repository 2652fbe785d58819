"""Charts of a page: what they say, and pictures that take on the colours of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pytest

from seal_env.report.page.charts import MARKS, Chart, Line, Point, thinned, written
from seal_env.report.page.plots import COLOURS, LARGE, SHAPES, SMALL, draw

VALUES = [
    (3e-4, 3e-4),
    (0.0, 0.0),
    (-5.0, 7.0),
    (1e-5, 1e-2),
    (2.0,),
    (1e6, 3e6),
    (0.33305, 0.33309),
    (math.nan, 1.0, math.inf),
    (),
]


def chart(values: Sequence[float], name: str = "line", **about: bool) -> Chart:
    return Chart("title", "step", "reward", (Line(name, tuple(Point(float(x), y) for x, y in enumerate(values))),), **about)


def texts(picture: str) -> list[str]:
    """What is written in it, from the left to the right and then up; the last two are the axes."""
    return re.findall("<text[^>]*>([^<]*)</text>", picture)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize(
    "values",
    [(3e-4, 3e-4), (0.0, 0.0), (-5.0, 7.0), (1e-5, 1e-2), (2.0,), (1e6, 3e6), (math.nan, 1.0, math.inf), ()],
    ids=str,
)
def test_values_and_marks_are_inside_the_picture(values: Sequence[float], small: bool) -> None:
    picture = draw(chart(values, small=small))
    width, height = SMALL if small else LARGE
    for x, y in re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", re.sub("<path[^>]*transform[^>]*>", "", picture)):
        assert 0 <= float(x) <= width
        assert 0 <= float(y) <= height
    written = texts(picture)
    across, up = written[: written.index("step")], written[written.index("step") + 1 : -1]
    assert written[-1] == "reward"
    assert len(across) == len(set(across)) >= 1
    assert len(up) == len(set(up)) >= 2


def test_shares_are_from_0_to_100_per_cent() -> None:
    assert texts(draw(chart((0.2, 0.3), share=True, small=True)))[-4:] == ["0", "50", "100", "reward"]
    assert chart((0.2, 0.3), share=True).words == "title, by step: line from 20 % to 30 %"


def test_values_of_several_orders_of_magnitude_are_on_a_logarithmic_axis() -> None:
    assert texts(draw(chart((1e-5, 1e-2))))[-5:-1] == ["1e-05", "0.0001", "0.001", "0.01"]
    assert not chart((0.0, 1e-2)).logarithmic


def test_band_is_drawn_where_every_point_has_an_interval() -> None:
    known = Line("line", (Point(0.0, 0.5, 0.4, 0.6), Point(1.0, 0.5, 0.3, 0.7)))
    assert "opacity: 0.15" in draw(Chart("title", "round", "reward", (known,), share=True))
    partly = Line("line", (known.points[0], Point(1.0, 0.5)))
    assert "opacity" not in draw(Chart("title", "round", "reward", (partly,), share=True))


def test_lines_are_told_apart_by_marks_and_gaps_too() -> None:
    lines = tuple(Line(str(number), (Point(1.0, 1.0),), number, dashed=number > 3) for number in range(8))
    assert len({line.mark for line in lines}) == len(MARKS) == len(SHAPES) == len(COLOURS)
    shapes = re.findall(r'd="([^"]*)" transform', draw(Chart("title", "round", "reward", lines)))
    assert len(set(shapes)) == len(lines)
    dashed = Chart("title", "round", "reward", (Line("base", (Point(1.0, 1.0), Point(2.0, 1.0)), dashed=True),))
    assert "stroke-dasharray" in draw(dashed)


def test_lines_of_many_points_have_a_few_marks_unless_they_are_alone() -> None:
    line = chart(range(100), small=True).lines[0]
    both = draw(Chart("title", "step", "reward", (line, line), small=True))
    assert (both.count("translate"), draw(chart(range(100), small=True)).count("translate")) == (16, 0)


def test_whole_numbers_have_whole_marks() -> None:
    assert texts(draw(chart((1, 3, 2), small=True)))[-4:-1] == ["1", "2", "3"]


def test_pictures_have_the_colours_and_the_font_of_the_page_and_nothing_of_their_own_elsewhere() -> None:
    picture = draw(chart((0.1, 0.2), share=True))
    assert "var(--c0)" in picture
    assert "var(--soft)" in picture
    assert not re.search(r"#[0-9a-f]{3}|font|\bid=|<style|<script|href|\$", picture)


def test_names_of_runs_are_only_told_and_escaped() -> None:
    picture = draw(chart((1.0, 2.0), name='"></svg><script>\x00$\\frac'))
    assert "\0" not in picture
    assert "<script" not in re.sub('aria-label="[^"]*"', "", picture)


def test_many_points_are_thinned_with_both_ends_kept() -> None:
    points = [Point(float(x), 0.0) for x in range(1000)]
    kept = thinned(points, 50)
    assert len(kept) == 50
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thinned(points[:3], 50) == tuple(points[:3])


@pytest.mark.parametrize(("value", "shown"), [(0.25, "0.25"), (1200.0, "1,200"), (3e-5, "3e-05"), (0.0, "0")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert written(value) == shown
