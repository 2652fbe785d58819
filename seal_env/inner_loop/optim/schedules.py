"""Learning-rate schedules with linear warm-up, as transformers has them.

A schedule maps progress after warm-up, in [0, 1], to a share of the peak learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def cosine(progress: float) -> float:
    """Half a cosine, from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def linear(progress: float) -> float:
    """A straight line from 1 to 0."""
    return 1 - progress


def learning_rate(schedule: Schedule, peak: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """The learning rate of one optimizer step.

    Args:
        schedule: What follows the warm-up.
        peak: The learning rate at the end of the warm-up.
        step: Number of the step, from 0.
        warmup_steps: Steps during which the rate rises linearly from 0.
        total_steps: All steps, warm-up included.
    """
    if step < warmup_steps:
        return peak * step / max(1, warmup_steps)
    return peak * max(0.0, schedule((step - warmup_steps) / max(1, total_steps - warmup_steps)))
