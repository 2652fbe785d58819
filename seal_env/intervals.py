"""Means with their uncertainty, and pass@k."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 2000


class Interval(NamedTuple):
    """A mean and its 95 % bootstrap interval; low and high are None for a single task, from which none can be told."""

    mean: float
    low: float | None
    high: float | None

    def text(self, form: str = "z.2f", scale: float = 1.0) -> str:
        """For people: `0.58 [0.52, 0.65]`, the mean alone where no interval is known. form: of each number, times scale."""
        mean = format(scale * self.mean, form)
        if self.low is None or self.high is None:
            return mean
        return f"{mean} [{scale * self.low:{form}}, {scale * self.high:{form}}]"

    def percent(self) -> str:
        """For people, in per cent: `58 [52, 65]`."""
        return self.text("z.0f", 100)


def bootstrap(values: Sequence[float], draws: int = DRAWS) -> Interval:
    """Mean of at least one value and its percentile interval; equal values give equal intervals."""
    found = np.asarray(values, dtype=float)
    if len(found) == 1:
        return Interval(float(found[0]), None, None)
    rng = np.random.default_rng(0)
    means = found[rng.integers(0, len(found), (draws, len(found)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(found.mean()), float(low), float(high))


def bootstrap_crossed(values_SN: ArrayLike, draws: int = DRAWS) -> Interval:
    """Mean of values of seeds (rows) on tasks (columns), and its interval, for which both are drawn again.

    It is wider than an interval over tasks alone by what differs from seed to seed. Tasks of which a value is not known
    (nan) are left out. A single task tells no interval, whatever the number of seeds: nothing is known of how tasks differ.
    Raises ValueError if no task is left.
    """
    found = np.asarray(values_SN, dtype=float)
    found = found[:, ~np.isnan(found).any(axis=0)]
    if not found.size:
        raise ValueError("there is no task of which all values are known")
    if found.shape[1] == 1:
        return Interval(float(found.mean()), None, None)
    rng = np.random.default_rng(0)
    seeds, tasks = (rng.integers(0, count, (draws, count)) for count in found.shape)
    means = [float(found[np.ix_(rows, columns)].mean()) for rows, columns in zip(seeds, tasks, strict=True)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(found.mean()), float(low), float(high))


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """Chance that at least one of k samples drawn from `samples`, of which `solved` were right, is right.

    The unbiased estimate of arXiv 2107.03374. Raises ValueError unless 1 <= k <= samples.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"k={k} is not legal; expected 1 to {samples}, the number of samples")
    return 1.0 - comb(samples - solved, k) / comb(samples, k)
