"""Rewards by name: pure functions of two evaluations, of the base model and of the updated one on the same queries.

accuracy   share of queries that the updated model solves, in [0, 1] (SEAL's reward)
gain       that minus the base model's share, in [-1, 1]
solved     1.0 if the updated model solves every query, else 0.0
partial    `Evaluation.partial` of the updated model, in [0, 1]; each domain has its own name for it

A reward of one's own is registered with `register_reward`, or passed as a callable: `gym.make(..., reward=my_reward)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.types import Evaluation

Reward = Callable[[Evaluation, Evaluation], float]
"""(evaluation of the base model, evaluation of the updated model) -> reward."""


def _accuracy(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.accuracy


def _gain(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.accuracy - base.accuracy


def _solved(base: Evaluation, adapted: Evaluation) -> float:
    return float(adapted.solved)


def _partial(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.partial


REWARDS: Final[dict[str, Reward]] = {"accuracy": _accuracy, "gain": _gain, "solved": _solved}
RELATIVE: Final = ("gain",)
"""Rewards that compare with the base model and cannot score one evaluation by itself."""


def paid(reward: Reward, base: Evaluation, adapted: Evaluation) -> float:
    """What a reward gives for two evaluations.

    Raises:
        SettingError: If it is no finite number: NaN is for infrastructure failures alone.
    """
    found: Any = reward(base, adapted)
    try:
        number = math.nan if isinstance(found, str) else float(found)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingError("reward", found, "a function that gives finite numbers")
    return number


def register_reward(name: str, reward: Reward) -> None:
    """Make a reward known by name.

    Raises:
        SettingError: If the name is taken by another reward.
    """
    if REWARDS.setdefault(name, reward) is not reward:
        raise SettingError("name", name, f"a name other than {', '.join(REWARDS)}")


def make_reward(reward: str | Reward, partial_metric: str) -> Reward:
    """The reward that the setting `reward` names, or the callable itself.

    Args:
        reward: A name or a callable.
        partial_metric: The domain's name for `Evaluation.partial`.

    Raises:
        SettingError: For an unknown name.
    """
    if callable(reward):
        return reward
    known = {**REWARDS, partial_metric: _partial}
    if reward not in known:
        raise SettingError("reward", reward, " or ".join(map(repr, known)))
    return known[reward]
