"""Rewards: pure functions of two evaluations."""

from __future__ import annotations

import pytest

from seal_env.domains.rewards import REWARDS, make_reward, register_reward
from seal_env.errors import SettingError
from seal_env.types import Evaluation

NONE = Evaluation(0.0, 0.25, (((),),))
HALF = Evaluation(0.5, 0.75, (((),),))
FULL = Evaluation(1.0, 1.0, (((),),))


@pytest.mark.parametrize(
    ("name", "base", "adapted", "expected"),
    [
        ("accuracy", HALF, FULL, 1.0),
        ("accuracy", FULL, HALF, 0.5),
        ("gain", HALF, FULL, 0.5),
        ("gain", FULL, NONE, -1.0),
        ("gain", FULL, FULL, 0.0),
        ("solved", NONE, FULL, 1.0),
        ("solved", NONE, HALF, 0.0),
        ("cell_accuracy", FULL, NONE, 0.25),
        ("cell_accuracy", NONE, HALF, 0.75),
    ],
)
def test_rewards(name: str, base: Evaluation, adapted: Evaluation, expected: float) -> None:
    assert make_reward(name, "cell_accuracy")(base, adapted) == expected


def test_an_unknown_reward_is_a_setting_error_that_names_the_legal_ones() -> None:
    with pytest.raises(SettingError, match=r"reward='cells' is not legal; expected 'accuracy' or .* or 'word_f1'"):
        make_reward("cells", "word_f1")


def test_a_callable_is_a_reward() -> None:
    assert make_reward(lambda base, adapted: adapted.partial - base.partial, "word_f1")(HALF, FULL) == 0.25


def test_a_registered_reward_has_a_name_that_no_other_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REWARDS, "mine", lambda base, adapted: 7.0)
    assert make_reward("mine", "word_f1")(HALF, FULL) == 7.0
    with pytest.raises(SettingError, match="name='mine'"):
        register_reward("mine", lambda base, adapted: 8.0)
