"""Stable-Baselines3: its checks pass, its VecEnv is one call of the inner loop a step, and its PPO learns."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from seal_env.envs.wrappers import (
    GridFeatures,
    StructuredSelfEdit,
    VectorGridFeatures,
    VectorStructuredSelfEdit,
    numeric_vector_env,
)
from seal_env.errors import SettingError, UnknownTaskError, UpdateError
from seal_env.self_edits.numeric_actions import NUMERIC_FORMS
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult

pytest.importorskip("stable_baselines3")
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor

from seal_env.agents.rl.sb3 import Sb3VecEnv
from tests.helpers.inner_loops import FakeInnerLoop

NEEDED = 5e-4
"""The learning rate from which on an update helps, with loss on the output tokens only."""


class PickyInnerLoop(FakeInnerLoop):
    """Right after an update with a high rate and loss on the output tokens; fails for the seeds in `fails`."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[int] = set()

    def result(self, job: UpdateJob) -> UpdateResult:
        if job.examples_E and job.seed in self.fails:
            return UpdateResult(Outcome.ENGINE_ERROR, "it failed", ())
        helps = job.training.learning_rate > NEEDED and job.training.strategy == "train_using_output_tokens"
        right = bool(job.examples_E) and helps
        return UpdateResult(Outcome.OK, "", tuple(Answer(q.query_id, right, None, 1.0) for q in job.queries_Q))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> PickyInnerLoop:
    made = PickyInnerLoop()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: made)
    return made


def make(num_envs: int, **settings: Any) -> Sb3VecEnv:
    settings = {"subset": "mini-train:9", "autoreset_mode": "SameStep", **settings}
    return Sb3VecEnv(numeric_vector_env(num_envs=num_envs, **settings))


def sample(envs: Sb3VecEnv) -> np.ndarray:
    return np.array([envs.action_space.sample() for _ in range(envs.num_envs)])


@pytest.mark.parametrize("actions", NUMERIC_FORMS)
@pytest.mark.parametrize("one_hot", [False, True])
def test_its_check_passes(loop: PickyInnerLoop, actions: str, one_hot: bool) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", subset="mini-train:5", max_turns=1)
    check_env(GridFeatures(StructuredSelfEdit(env, actions), one_hot=one_hot))


def test_a_step_is_one_call_of_the_inner_loop(loop: PickyInnerLoop) -> None:
    envs = make(5)
    envs.reset()
    for step in (1, 2):
        envs.step(sample(envs))
        assert len(loop.calls) == step
        assert sum(bool(job.examples_E) for job in loop.calls[-1]) > 0


def test_every_step_ends_an_episode_and_begins_another(loop: PickyInnerLoop) -> None:
    envs = make(3)
    envs.seed(0)
    first = envs.reset()
    begun = [info["task_id"] for info in envs.reset_infos]
    second, rewards, dones, infos = envs.step(sample(envs))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert dones.tolist() == [True] * 3
    assert rewards.dtype == np.float32
    for place, info in enumerate(infos):
        assert info["task_id"] == begun[place]
        assert info["outcome"] in ("ok", "empty_data")
        assert info["TimeLimit.truncated"] is False
        assert rewards[place] == (info["accuracy_after"] if info["outcome"] == "ok" else 0.0)
        assert all(np.array_equal(info["terminal_observation"][part], first[part][place]) for part in first)
    assert [info["task_id"] for info in envs.reset_infos] != begun
    assert any(not np.array_equal(first[part], second[part]) for part in first)


def test_seeds_and_options_are_used_once(loop: PickyInnerLoop) -> None:
    envs, other = make(2), numeric_vector_env(num_envs=2, subset="mini-train:9", autoreset_mode="SameStep")
    assert list(envs.seed(5)) == [5, 6]
    envs.reset()
    _, infos = other.reset(seed=5)
    assert [info["task_id"] for info in envs.reset_infos] == infos["task_id"].tolist()
    envs.set_options({"task_id": "mini-train-0-3"})
    envs.reset()
    assert [info["task_id"] for info in envs.reset_infos] == ["mini-train-0-3"] * 2
    envs.reset()
    assert [info["task_id"] for info in envs.reset_infos] != ["mini-train-0-3"] * 2
    envs.set_options([{"task_id": "mini-train-0-1"}, {}])
    with pytest.raises(SettingError, match="options="):
        envs.reset()
    envs.set_options({"task_id": "no such"})
    with pytest.raises(UnknownTaskError):
        envs.reset()


def test_equal_seeds_give_equal_steps(loop: PickyInnerLoop) -> None:
    def steps() -> list[Any]:
        envs = make(3)
        envs.seed(1)
        envs.reset()
        envs.action_space.seed(1)
        return [envs.step(sample(envs))[1].tolist() for _ in range(3)]

    assert steps() == steps()


def test_a_failed_episode_is_played_again(loop: PickyInnerLoop) -> None:
    envs = make(3)
    envs.seed(20)
    loop.fails = {21}
    envs.reset()
    actions = sample(envs)
    actions[1] = [1, 0, 0, 0, 1, 8, 0]
    _, rewards, _, infos = envs.step(actions)
    assert rewards[1] == 1.0
    assert infos[1]["outcome"] == "ok"
    assert infos[1]["TimeLimit.truncated"] is False
    assert len(loop.calls) == 2


def test_without_replays_a_failed_episode_is_no_reward(loop: PickyInnerLoop) -> None:
    bare = gymnasium.make_vec("SEAL-ARC-Mini-v0", 2, autoreset_mode="SameStep", subset="mini-train:9")
    envs = Sb3VecEnv(VectorGridFeatures(VectorStructuredSelfEdit(bare)))
    envs.seed(0)
    envs.reset()
    loop.fails = {1}
    with pytest.raises(UpdateError, match=r"on task mini-train-0-\d failed: it failed"):
        envs.step(np.array([[1, 0, 0, 0, 1, 8, 0]] * 2))


def test_only_a_seal_vector_environment_that_resets_at_once_will_do() -> None:
    with pytest.raises(SettingError, match="expected 'SameStep'"):
        make(1, autoreset_mode="NextStep")
    with pytest.raises(SettingError, match="a SealVectorEnv"):
        Sb3VecEnv(gymnasium.make_vec("CartPole-v1", num_envs=1))


def test_attributes_and_methods_are_those_of_the_environments(loop: PickyInnerLoop) -> None:
    envs = make(3)
    envs.reset()
    assert envs.get_attr("render_mode") == [None] * 3
    assert envs.get_attr("episode", [2])[0].task.task_id == envs.reset_infos[2]["task_id"]
    envs.set_attr("marked", True, indices=1)
    inside: Any = envs.unwrapped
    assert [hasattr(env, "marked") for env in inside.envs.unwrapped.envs] == [False, True, False]
    assert envs.env_method("has_wrapper_attr", "marked", indices=[0, 1]) == [False, True]
    assert envs.env_is_wrapped(Monitor) == [False] * 3
    assert not envs.has_attr("no_such")
    assert list(envs.get_images()) == [None] * 3
    envs.close()
    assert envs.envs.closed


def test_renders_all_environments_as_one_picture(loop: PickyInnerLoop) -> None:
    envs = make(4, render_mode="rgb_array")
    envs.set_options({"task_id": "mini-train-0-0"})
    envs.reset()
    picture = envs.render()
    assert isinstance(picture, np.ndarray)
    assert picture.ndim == 3


def test_its_statistics_of_episodes_work(loop: PickyInnerLoop) -> None:
    envs = VecMonitor(make(2))
    envs.reset()
    *_, infos = envs.step(np.array([[1, 0, 0, 0, 1, 8, 0], [1, 0, 0, 0, 0, 8, 0]]))
    assert [info["episode"]["r"] for info in infos] == [1.0, 0.0]
    assert [info["episode"]["l"] for info in infos] == [1, 1]


def test_without_it_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "seal_env.agents.rl.sb3")
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env.base_vec_env", None)
    with pytest.raises(ImportError, match=r"pip install 'seal-env\[sb3\]'"):
        importlib.import_module("seal_env.agents.rl.sb3")


def mean_reward(envs: Sb3VecEnv, act: Callable[[Any], np.ndarray], steps: int) -> float:
    envs.seed(1000)
    observations, rewards = envs.reset(), []
    for _ in range(steps):
        observations, reward, _, _ = envs.step(act(observations))
        rewards += reward.tolist()
    return float(np.mean(rewards))


@pytest.mark.slow
@pytest.mark.parametrize("actions", NUMERIC_FORMS)
def test_ppo_learns(loop: PickyInnerLoop, actions: str) -> None:
    envs = make(32, actions=actions, parts=("summary",), max_examples=4)
    model = PPO(
        "MultiInputPolicy",
        envs,
        n_steps=2,
        batch_size=32,
        learning_rate=5e-3,
        policy_kwargs={"net_arch": [32]},
        seed=0,
        device="cpu",
    )
    model.learn(768)
    random = mean_reward(envs, lambda _: sample(envs), 4)
    learned = mean_reward(envs, lambda seen: model.predict(seen, deterministic=True)[0], 4)
    assert random < 0.4
    assert learned > 0.8


def test_ppo_takes_real_updates() -> None:
    envs = make(4, max_examples=4, decode="never")
    model = PPO("MultiInputPolicy", envs, n_steps=2, batch_size=8, n_epochs=2, seed=0, device="cpu")
    model.learn(16)
    assert model.num_timesteps == 16
    assert ((model.rollout_buffer.rewards == 0) | (model.rollout_buffer.rewards == 1)).all()
    assert np.isfinite(model.rollout_buffer.advantages).all()
