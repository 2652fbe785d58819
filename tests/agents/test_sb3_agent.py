"""A policy of Stable-Baselines3 as a file and as an agent: it decides as before, and other files are refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from seal_env.agents.context import AgentContext
from seal_env.agents.registry import make_agent
from seal_env.envs.env import SealEnv
from seal_env.envs.spaces import SelfEditSpace
from seal_env.envs.wrappers import StructuredSelfEdit, numeric_vector_env
from seal_env.errors import SettingError, StorageError

pytest.importorskip("stable_baselines3")
from safetensors import safe_open
from safetensors.torch import save_file
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from seal_env.agents.rl.policy_file import KEY, load_policy, save_policy
from seal_env.agents.rl.sb3 import Sb3VecEnv
from seal_env.tasks.arc.features import GridShape, features


def environments(**settings: Any) -> Sb3VecEnv:
    return Sb3VecEnv(numeric_vector_env(num_envs=2, subset="mini-train:3", autoreset_mode="SameStep", **settings))


@pytest.fixture(scope="module")
def env() -> SealEnv:
    return SealEnv(subset="mini-eval:3", max_turns=1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.safetensors"
    save_policy(PPO("MultiInputPolicy", environments(parts=("summary",)), seed=0), path)
    return path


@pytest.mark.parametrize(("actions", "parts"), [("multi_discrete", ("summary",)), ("box", ("pairs", "grids"))])
def test_a_policy_decides_from_its_file_as_it_did_before(
    env: SealEnv, tmp_path: Path, actions: str, parts: tuple[str, ...]
) -> None:
    space = SelfEditSpace(env.runtime.tools, {"training.learning_rate": (1e-4, 2e-3)})
    shape = GridShape(6, 5)
    envs = environments(parts=parts, shape=shape, actions=actions, levels=5, space=space)
    model = A2C("MultiInputPolicy", VecMonitor(envs), policy_kwargs={"net_arch": [7]}, seed=0)
    save_policy(model, tmp_path / "policy.safetensors")
    agent = make_agent("sb3", AgentContext.of(env), policy_file=tmp_path / "policy.safetensors")
    numeric = StructuredSelfEdit(env, actions, 5, space).numeric_actions
    for task in env.taskset:
        shown = env.reset(seed=0, options={"task_id": task.task_id})
        read = features(task.context, shape, parts=parts)
        assert agent.act(*shown) == numeric.decode(model.predict(read, deterministic=True)[0])


def test_a_summary_is_read_of_tasks_that_are_larger_than_those_trained_on(saved: Path) -> None:
    env = SealEnv(subset="seal-eval", max_turns=1)
    agent = make_agent("sb3", AgentContext.of(env), policy_file=saved)
    assert env.action_space.contains(agent.act(*env.reset(seed=0)))


def other_file(path: Path, saved: Path) -> None:
    path.write_bytes(b"PK" + bytes(40))


def without_spec(path: Path, saved: Path) -> None:
    save_file({}, path, {"format": "pt"})


def other_weights(path: Path, saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        spec = file.metadata()[KEY]
    save_file({}, path, {KEY: spec})


def other_activation(path: Path, saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        spec = file.metadata()[KEY]
    save_file({}, path, {KEY: spec.replace("Tanh", "Module")})


def endless_weights(path: Path, saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        spec, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file({name: each / 0 for name, each in weights.items()}, path, spec)


def huge_network(path: Path, saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        spec = json.loads(file.metadata()[KEY])
    save_file({}, path, {KEY: json.dumps({**spec, "network": [10**9]})})


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path, saved: None, "No such file"),
        (other_file, "save_policy wrote"),
        (without_spec, "save_policy wrote"),
        (other_weights, "weights do not fit"),
        (other_activation, "save_policy wrote"),
        (endless_weights, "not finite"),
        (huge_network, "save_policy wrote"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(env: SealEnv, saved: Path, tmp_path: Path, write: Any, said: str) -> None:
    write(tmp_path / "file", saved)
    with pytest.raises(SettingError, match=rf"policy_file=.*{said}"):
        load_policy(tmp_path / "file", env.runtime.tools)


def test_a_policy_for_other_tools_is_refused(env: SealEnv, saved: Path) -> None:
    with pytest.raises(SettingError, match="a policy for the tools finetune, not augment"):
        load_policy(saved, env.runtime.tools[-1:])


def test_a_policy_that_the_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    envs = VecNormalize(environments(parts=("summary",)), norm_obs_keys=["summary"])
    with pytest.raises(SettingError, match="a model on an Sb3VecEnv"):
        save_policy(PPO("MultiInputPolicy", envs), tmp_path / "policy")
    assert not list(tmp_path.iterdir())


def test_a_policy_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_weights: Any, path: Path, _metadata: Any) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "full")

    path, model = tmp_path / "policy.safetensors", PPO("MultiInputPolicy", environments(parts=("summary",)), seed=0)
    save_policy(model, path)
    before = path.read_bytes()
    monkeypatch.setattr("seal_env.agents.rl.policy_file.save_file", full)
    with pytest.raises(StorageError):
        save_policy(model, path)
    assert path.read_bytes() == before
