"""Bootstrap intervals and pass@k."""

from __future__ import annotations

from itertools import combinations
from statistics import mean

import numpy as np
import pytest

from seal_env.intervals import Interval, bootstrap, bootstrap_crossed, pass_at_k


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def width(interval: Interval) -> float:
    low, high = bounds(interval)
    return high - low


def test_interval_holds_the_mean_and_narrows_with_values() -> None:
    few, many = (bootstrap([0.0, 1.0] * count) for count in (5, 500))
    assert few.mean == many.mean == 0.5
    assert bounds(few)[0] < bounds(many)[0] < 0.5 < bounds(many)[1] < bounds(few)[1]
    assert many.percent().startswith("50 [4")


def test_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    found = [bootstrap(rng.random(60).tolist(), draws=400) for _ in range(300)]
    assert 0.90 < mean(low <= 0.5 <= high for low, high in map(bounds, found)) < 0.99


def test_seeds_that_disagree_widen_the_interval() -> None:
    tasks = np.random.default_rng(0).random(40)
    alike = bootstrap_crossed([tasks, tasks, tasks])
    apart = bootstrap_crossed([tasks - 0.3, tasks, tasks + 0.3])
    assert alike.mean == pytest.approx(apart.mean) == pytest.approx(tasks.mean())
    assert width(apart) > 2 * width(alike)
    over_tasks = bootstrap(tasks.tolist())
    assert width(alike) == pytest.approx(width(over_tasks), rel=0.15)


def test_one_value_tells_no_interval() -> None:
    assert bootstrap([0.79]) == bootstrap_crossed([[0.79]]) == (0.79, None, None)
    assert bootstrap([0.79]).percent() == "79"
    assert bootstrap([0.79, 0.79]).percent() == "79 [79, 79]"


def test_many_seeds_on_one_task_tell_no_interval() -> None:
    assert bootstrap_crossed([[0.25], [0.75]]) == (0.5, None, None)
    assert bootstrap_crossed([[0.2, float("nan")], [0.6, 1.0]]).low is None
    assert bootstrap_crossed([[0.2, 0.4]]).low is not None


def test_a_task_that_lacks_a_value_is_left_out() -> None:
    assert bootstrap_crossed([[1.0, 1.0, 0.0], [1.0, 1.0, float("nan")]]) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="no task"):
        bootstrap_crossed([[float("nan")]])


@pytest.mark.parametrize(("samples", "solved"), [(5, 0), (5, 2), (6, 5), (4, 4)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(samples: int, solved: int) -> None:
    drawn = [index < solved for index in range(samples)]
    for k in range(1, samples + 1):
        expected = mean(any(subset) for subset in combinations(drawn, k))
        assert pass_at_k(samples, solved, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, 4])
def test_pass_at_more_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="k="):
        pass_at_k(3, 1, k)
