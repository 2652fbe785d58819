"""Reward modes."""

from __future__ import annotations

import pytest

from seal_env.episodes.reward import REWARDS, reward
from seal_env.errors import SettingError
from seal_env.settings import CHOICES
from seal_env.types import Evaluation

BASE = Evaluation(0.5, 0.9, ())
WORSE = Evaluation(0.25, 0.8, ())
SOLVED = Evaluation(1.0, 1.0, ())


@pytest.mark.parametrize(
    ("mode", "adapted", "value"),
    [
        ("accuracy", WORSE, 0.25),
        ("accuracy", SOLVED, 1.0),
        ("gain", WORSE, -0.25),
        ("gain", SOLVED, 0.5),
        ("gain", BASE, 0.0),
        ("solved", WORSE, 0.0),
        ("solved", SOLVED, 1.0),
        ("cell_accuracy", WORSE, 0.8),
    ],
)
def test_rewards(mode: str, adapted: Evaluation, value: float) -> None:
    assert reward(mode, BASE, adapted) == value


@pytest.mark.parametrize("mode", REWARDS)
def test_a_reward_is_a_plain_float(mode: str) -> None:
    assert type(reward(mode, BASE, SOLVED)) is float


def test_an_unknown_mode_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="'speed'"):
        reward("speed", BASE, SOLVED)


def test_settings_offer_every_mode() -> None:
    assert set(CHOICES["reward"]) == set(REWARDS)
