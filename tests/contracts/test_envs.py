"""What every registered environment keeps to. A new id is covered by being registered."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from seal_env.registration import ENVIRONMENTS

# Few and short updates: the contract is about the interface, and each check trains for real.
SHORT: dict[str, Any] = {"max_examples": 6, "max_steps": 9}
GARBAGE = [
    "",
    "null",
    "[]",
    "{}",
    "[[]]",
    '{"name": 1}',
    "finetune",
    "\x00",
    "NaN",
    '[{"name": "finetune", "arguments": []}]',
]


@pytest.fixture(params=ENVIRONMENTS)
def environment_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.filterwarnings("ignore:.*different render modes:UserWarning")
def test_passes_gymnasium_s_check(environment_id: str) -> None:
    check_env(gymnasium.make(environment_id, **SHORT).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_renders_in_its_modes(environment_id: str, mode: str) -> None:
    env = gymnasium.make(environment_id, render_mode=mode, **SHORT)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is not None


def test_survives_200_garbage_actions(environment_id: str) -> None:
    env = gymnasium.make(environment_id, **SHORT)
    env.reset(seed=0)
    rng = random.Random(0)
    for _ in range(200):
        action: Any = rng.choice(
            [*GARBAGE, "".join(chr(rng.randrange(1, 0x2FFF)) for _ in range(50)), None, 3, b"x", {"a": 1}]
        )
        observation, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(observation)
        assert (reward, truncated) == (0.0, False)
        assert info["outcome"] != "ok"
        if terminated:
            env.reset()


def test_equal_seeds_give_equal_episodes(environment_id: str) -> None:
    def episode() -> tuple[Any, ...]:
        env = gymnasium.make(environment_id, **SHORT)
        env.action_space.seed(3)
        return (*env.reset(seed=3), *env.step(env.action_space.sample()))

    assert episode() == episode()


def test_is_made_by_module_and_id(environment_id: str) -> None:
    assert gymnasium.make(f"seal_env:{environment_id}").spec is not None


def test_several_run_in_one_process(environment_id: str) -> None:
    envs = gymnasium.make_vec(environment_id, num_envs=2, vectorization_mode="sync", **SHORT)
    envs.reset(seed=0)
    _, rewards, terminations, truncations, _ = envs.step(envs.action_space.sample())
    assert rewards.shape == (2,)
    assert terminations.all()
    assert not truncations.any()
