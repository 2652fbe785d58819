"""The spaces of texts: what they hold, what they draw, and that Gymnasium can work with them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.passive_env_checker import check_action_space, check_observation_space
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import batch_space

from seal_env.envs.spaces import PromptSpace, SelfEditSpace, TextSpace
from seal_env.errors import SettingError
from seal_env.self_edits.prompt import example_action
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EPOCHS, RATE

SPACES = [partial(SelfEditSpace, ARC_TOOLS), PromptSpace]
each_space = pytest.mark.parametrize("space_type", SPACES, ids=["actions", "prompts"])


def draws(count: int, **settings: Any) -> list[dict[str, Any]]:
    """Arguments of all tools of each sample, merged."""
    space = SelfEditSpace(ARC_TOOLS, seed=0, **settings)
    samples = [json.loads(space.sample()) for _ in range(count)]
    return [{key: value for call in calls for key, value in call["arguments"].items()} for calls in samples]


class EchoEnv(gym.Env[str, str]):
    """Observes its last action."""

    action_space = SelfEditSpace(ARC_TOOLS)
    observation_space = PromptSpace()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "begin", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return action, 0.0, False, False, {}


@each_space
def test_samples_are_in_the_space(space_type: Callable[..., TextSpace]) -> None:
    space = space_type(seed=1)
    assert all(space.sample() in space for _ in range(50))


@each_space
def test_the_seed_decides_the_samples(space_type: Callable[..., TextSpace]) -> None:
    space = space_type(seed=1)
    first = [space.sample() for _ in range(5)]
    assert space.seed(1) == 1
    assert [space.sample() for _ in range(5)] == first
    assert [space_type(seed=2).sample() for _ in range(5)] != first
    assert space_type(seed=np.random.default_rng(4)).sample() == space_type(seed=np.random.default_rng(4)).sample()


@each_space
def test_a_copy_is_equal_and_draws_the_same(space_type: Callable[..., TextSpace]) -> None:
    space = space_type(seed=1)
    twin = copy.deepcopy(space)
    assert twin == space
    assert [twin.sample(), twin.sample()] == [space.sample(), space.sample()]


@each_space
def test_there_is_nothing_to_mask(space_type: Callable[..., TextSpace]) -> None:
    assert space_type(seed=1).sample(mask=None, probability=None) == space_type(seed=1).sample(None)
    with pytest.raises(SettingError, match="mask"):
        space_type().sample(mask=np.ones(3, dtype=np.int8))
    with pytest.raises(SettingError, match="probability"):
        space_type().sample(probability=np.ones(3))


@each_space
def test_samples_go_through_json(space_type: Callable[..., TextSpace]) -> None:
    space = space_type(seed=1)
    samples = [space.sample() for _ in range(5)]
    assert space.from_jsonable(json.loads(json.dumps(space.to_jsonable(samples)))) == samples


@each_space
def test_gymnasium_accepts_the_space(space_type: Callable[..., TextSpace]) -> None:
    check_action_space(space_type())
    check_observation_space(space_type())
    assert not space_type().is_np_flattenable
    batched = batch_space(space_type(seed=1), 3)
    assert batched.sample() in batched
    assert len(set(batched.sample())) == 3


def test_a_vector_of_environments_runs() -> None:
    envs = SyncVectorEnv([EchoEnv, EchoEnv])
    assert envs.reset(seed=0)[0] == ("begin", "begin")
    actions = envs.action_space.sample()
    assert envs.step(actions)[0] == actions


def test_a_sample_is_three_calls_in_order() -> None:
    assert [call["name"] for call in json.loads(SelfEditSpace(ARC_TOOLS, seed=0).sample())] == ARC_NAMES


def test_every_switch_and_both_strategies_are_drawn_evenly() -> None:
    drawn = draws(400)
    for field in [name for name in drawn[0] if name.startswith("use_")]:
        assert 150 < sum(arguments[field] for arguments in drawn) < 250
    assert 150 < sum(arguments["strategy"] == "train_using_all_tokens" for arguments in drawn) < 250
    assert len({tuple(value for value in arguments.values() if isinstance(value, bool)) for arguments in drawn}) == 16


def test_epochs_are_drawn_from_the_whole_range() -> None:
    assert {arguments["num_train_epochs"] for arguments in draws(60)} == {1, 2, 3, 4}
    assert {arguments["num_train_epochs"] for arguments in draws(60, ranges={EPOCHS: (0, 1)})} == {0, 1}


def test_learning_rates_are_log_uniform_with_three_digits() -> None:
    rates = [arguments["learning_rate"] for arguments in draws(400)]
    assert all(3e-5 <= rate <= 3e-3 and rate == float(f"{rate:.2e}") for rate in rates)
    decades = np.histogram([math.log10(rate) for rate in rates], bins=[-5, -4, -3, -2])[0]
    assert decades.min() > 100


def test_rounding_does_not_leave_the_range() -> None:
    low, high = 0.0012345, 0.0012349
    assert all(low <= arguments["learning_rate"] <= high for arguments in draws(20, ranges={RATE: (low, high)}))


@pytest.mark.parametrize(
    "ranges",
    [
        {RATE: (0.0, 1.0)},
        {RATE: (1e-2, 1e-3)},
        {RATE: (0.5, 1.5)},
        {EPOCHS: (-1, 2)},
        {EPOCHS: (3, 2)},
        {EPOCHS: (0, 21)},
        {EPOCHS: (0, 1.5)},
        {"training.strategy": (0, 1)},
        {"learning_rate": (1e-4, 1e-3)},
    ],
)
def test_illegal_ranges_are_refused(ranges: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(SettingError, match="ranges"):
        SelfEditSpace(ARC_TOOLS, ranges)


def test_every_form_of_a_valid_action_is_in_the_space() -> None:
    action = example_action(ARC_TOOLS)
    assert action in SelfEditSpace(ARC_TOOLS)
    assert f"```json\n{action}\n```" in SelfEditSpace(ARC_TOOLS)
    assert np.str_(action) in SelfEditSpace(ARC_TOOLS)
    assert example_action(ARC_TOOLS[1:2]) in SelfEditSpace(ARC_TOOLS)


@pytest.mark.parametrize("action", ["", "[]", "finetune", '{"name": "dream"}', '{"name": "training"}', None, 3, [], b"[]"])
def test_what_the_tools_refuse_is_not_in_the_space(action: object) -> None:
    assert action not in SelfEditSpace(ARC_TOOLS)


def test_parsed_actions_are_not_texts() -> None:
    assert json.loads(example_action(ARC_TOOLS)) not in SelfEditSpace(ARC_TOOLS)


def test_a_tool_that_the_space_lacks_is_not_in_it() -> None:
    assert example_action(ARC_TOOLS[:1]) not in SelfEditSpace(ARC_TOOLS[1:])


def test_spaces_are_equal_if_their_settings_are() -> None:
    assert SelfEditSpace(ARC_TOOLS, seed=1) == SelfEditSpace(ARC_TOOLS, seed=2)
    assert SelfEditSpace(ARC_TOOLS) != SelfEditSpace(ARC_TOOLS, {EPOCHS: (1, 3)})
    assert SelfEditSpace(ARC_TOOLS) != SelfEditSpace(ARC_TOOLS, {RATE: (1e-4, 1e-2)})
    assert SelfEditSpace(ARC_TOOLS) != PromptSpace()
    assert PromptSpace(5) != PromptSpace(6)


def test_a_space_can_be_sent_to_another_process() -> None:
    space = ForkingPickler.loads(ForkingPickler.dumps(SelfEditSpace(ARC_TOOLS, {EPOCHS: (2, 3)}, seed=0)))
    assert space == SelfEditSpace(ARC_TOOLS, {EPOCHS: (2, 3)})
    assert space.sample() == SelfEditSpace(ARC_TOOLS, {EPOCHS: (2, 3)}, seed=0).sample()


def test_the_repr_shows_the_settings() -> None:
    assert repr(PromptSpace(5)) == "PromptSpace(5)"
    assert repr(SelfEditSpace(ARC_TOOLS[-1:])) == "SelfEditSpace([finetune])"
    shown = repr(SelfEditSpace(ARC_TOOLS[1:], {EPOCHS: (2, 3)}, plain_text=True))
    assert shown == "SelfEditSpace([training, finetune], ranges={'training.num_train_epochs': (2, 3)}, plain_text=True)"


def test_prompts_are_unicode_up_to_a_length() -> None:
    space = PromptSpace(4)
    assert "" in space
    assert "日本\n😀" in space
    assert "12345" not in space
    assert "\ud800" not in space
    assert b"1234" not in space
    assert all(len(space.sample()) <= 4 for _ in range(20))
    with pytest.raises(SettingError):
        PromptSpace(-1)
