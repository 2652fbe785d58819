"""Charts of a page: axes that fit what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from seal_env.report.page.charts import BOTTOM, TOP, Chart, Line, Point, thinned, written


def chart(values: Sequence[float], **about: bool) -> Chart:
    return Chart("title", "step", [Line("line", [Point(float(x), y) for x, y in enumerate(values)])], **about)


@pytest.mark.parametrize("values", [(3e-4, 3e-4), (0.0, 0.0), (-5.0, 7.0), (1e-5, 1e-2), (2.0,), (1e6, 3e6)], ids=str)
def test_values_and_marks_are_inside_the_picture(values: Sequence[float]) -> None:
    drawn = chart(values)
    inside = range(TOP, drawn.height - BOTTOM + 1)
    assert {round(drawn.up_at(value)) for value in values} <= set(inside)
    assert 2 <= len(drawn.y_ticks) <= 8
    assert {round(tick.at) for tick in drawn.y_ticks} <= set(inside)
    assert len({tick.label for tick in drawn.y_ticks}) == len(drawn.y_ticks)


def test_greater_values_are_higher_and_later_ones_to_the_right() -> None:
    drawn = chart((1.0, 2.0))
    assert drawn.up_at(2.0) < drawn.up_at(1.0)
    assert drawn.across_at(0.0) < drawn.across_at(1.0)


def test_shares_are_from_0_to_100_per_cent() -> None:
    assert [tick.label for tick in chart((0.2, 0.3), share=True, small=True).y_ticks] == ["0 %", "50 %", "100 %"]
    assert chart((0.2, 0.3), share=True).words == "title, by step: line from 20 % to 30 %"


def test_values_of_several_orders_of_magnitude_are_on_a_logarithmic_axis() -> None:
    assert [tick.label for tick in chart((1e-5, 1e-2)).y_ticks] == ["1e-05", "1e-04", "1e-03", "1e-02"]
    assert not chart((0.0, 1e-2)).logarithmic


def test_band_is_drawn_where_every_point_has_an_interval() -> None:
    known = Line("line", [Point(0.0, 0.5, 0.4, 0.6), Point(1.0, 0.5, 0.3, 0.7)])
    assert len(Chart("title", "round", [known], share=True).band(known).split()) == 4
    partly = Line("line", [known.points[0], Point(1.0, 0.5)])
    assert Chart("title", "round", [partly], share=True).band(partly) == ""


def test_many_points_are_thinned_with_both_ends_kept() -> None:
    points = [Point(float(x), 0.0) for x in range(1000)]
    kept = thinned(points, 50)
    assert (len(kept), kept[0], kept[-1]) == (50, points[0], points[-1])
    assert thinned(points, 1000) == points


@pytest.mark.parametrize(("value", "shown"), [(0.25, "0.25"), (1200.0, "1,200"), (3e-5, "3.0e-05"), (0.0, "0")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert written(value) == shown
