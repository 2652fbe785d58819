"""The picture of what designs against forgetting cost and keep."""

from __future__ import annotations

import pytest

from seal_env.report.frontier_plot import frontier_figure

MEAN = {"mean": 0.5, "low": 0.4, "high": 0.6}


@pytest.mark.parametrize("count", [3, 11, 20])
def test_no_two_designs_look_alike(count: int) -> None:
    pytest.importorskip("matplotlib")
    rows = {f"a-{number}": {"design": f"gate:{number}", "sequences": 1, "new": MEAN, "end": MEAN} for number in range(count)}
    (axes,) = frontier_figure(rows).axes
    points = [line for line in axes.lines if str(line.get_marker()) in "osD^vPX<>"]
    assert len({str(line.get_color()) for line in points}) == len(points) == count
