"""Reward modes: what an episode pays, from the evaluations of the base model and of the adapted one on the same queries.

accuracy       share of queries that the adapted model solves, in [0, 1] (SEAL's reward)
gain           that minus the base model's share, in [-1, 1]
solved         1.0 if the adapted model solves every query, else 0.0
cell_accuracy  ARC: mean share of right cells of the adapted model's answers, in [0, 1]
word_f1        knowledge: mean F1 of the words of the adapted model's answers, in [0, 1]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from seal_env.errors import SettingError
from seal_env.types import Evaluation


def _accuracy(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.accuracy


def _gain(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.accuracy - base.accuracy


def _solved(base: Evaluation, adapted: Evaluation) -> float:
    return float(adapted.solved)


def _partial(base: Evaluation, adapted: Evaluation) -> float:
    return adapted.partial


REWARDS: Mapping[str, Callable[[Evaluation, Evaluation], float]] = MappingProxyType(
    {"accuracy": _accuracy, "gain": _gain, "solved": _solved, "cell_accuracy": _partial, "word_f1": _partial}
)


def reward(mode: str, base: Evaluation, adapted: Evaluation) -> float:
    """Reward of an update that was carried out. Raises SettingError for an unknown mode."""
    if mode not in REWARDS:
        raise SettingError("reward", mode, f"one of {', '.join(REWARDS)}")
    return float(REWARDS[mode](base, adapted))


def score(mode: str, evaluation: Evaluation) -> float:
    """What one evaluation is worth, in [0, 1], in the modes that need no other to compare with. Raises SettingError."""
    if mode == "gain":
        raise SettingError("reward", mode, "a mode that scores one evaluation by itself")
    return reward(mode, evaluation, evaluation)
