"""The picture of what designs against forgetting cost and keep."""

from __future__ import annotations

import numpy as np
import pytest

from seal_env.report.frontier_plot import frontier_figure

MEAN = {"mean": 0.5, "low": 0.4, "high": 0.6}
ROW = {"agent": "a", "sequences": 1, "new": MEAN, "end": MEAN}


@pytest.mark.parametrize("count", [3, 11, 20])
def test_no_two_designs_look_alike(count: int) -> None:
    pytest.importorskip("matplotlib")
    rows = {f"a-{number}": ROW | {"design": f"gate:{number}"} for number in range(count)}
    (axes,) = frontier_figure(rows).axes
    points = [line for line in axes.lines if str(line.get_marker()) in "osD^vPX<>"]
    assert len({str(line.get_color()) for line in points}) == len(points) == count


def test_one_sequence_is_drawn_without_an_interval() -> None:
    pytest.importorskip("matplotlib")
    mean = {"mean": 0.5, "low": None, "high": None}
    (axes,) = frontier_figure({"a": ROW | {"design": "none", "new": mean, "end": mean}}).axes
    assert not axes.collections


def test_shares_of_one_agent_are_joined_whatever_the_rows_are_called() -> None:
    pytest.importorskip("matplotlib")
    designs = {"x": ("a", "none"), "y": ("a", "rehearse:1"), "z": ("b", "none")}
    rows = {name: ROW | {"agent": agent, "design": design} for name, (agent, design) in designs.items()}
    (axes,) = frontier_figure(rows).axes
    assert [np.size(line.get_xdata()) for line in axes.lines if line.get_color() == "0.6"] == [2, 1]
    assert axes.get_legend_handles_labels()[1] == ["x", "y", "z"]
