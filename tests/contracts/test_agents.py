"""What every registered agent keeps to. A new agent is covered by its line in the registry."""

from __future__ import annotations

import gymnasium
import pytest

from seal_env.agents.registry import AGENTS, AgentSettings, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.env import SealEnv
from seal_env.errors import SettingError
from tests.servers import PolicyServer


@pytest.fixture(scope="module")
def env() -> SealEnv:
    made = gymnasium.make("SEAL-ARC-Mini-v0", max_examples=4, max_steps=40).unwrapped
    assert isinstance(made, SealEnv)
    return made


@pytest.fixture(params=AGENTS)
def name(request: pytest.FixtureRequest, policy_server: PolicyServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an agent; one that asks a server finds it where the environment says."""
    monkeypatch.setenv("OPENAI_BASE_URL", policy_server.base_url)
    return str(request.param)


def test_finishes_episodes_with_valid_self_edits(env: SealEnv, name: str) -> None:
    """Nearly always: a language model errs now and then."""
    agent = make_agent(name, AgentSettings(env.action_space, seed=0))
    trajectories = [run_episode(env, agent, seed=seed) for seed in range(3)]
    assert sum(trajectory.info["outcome"] == "ok" for trajectory in trajectories) >= 2
    assert all(0.0 <= trajectory.reward <= 1.0 for trajectory in trajectories)
    agent.update(trajectories)


def test_equal_seeds_give_equal_actions(env: SealEnv, name: str) -> None:
    observation, _ = env.reset(seed=0)
    agents = [make_agent(name, AgentSettings(env.action_space, seed=5)) for _ in range(2)]
    first, second = ([agent.act(observation) for _ in range(5)] for agent in agents)
    assert first == second
    assert all(env.action_space.contains(action) for action in first)


def test_no_update_leaves_the_accuracy_as_it_was(env: SealEnv) -> None:
    info = run_episode(env, make_agent("none", AgentSettings(env.action_space)), seed=0).info
    assert info["accuracy_after"] == info["accuracy_before"]
    assert info["optimizer_steps"] == 0


def test_random_agent_does_not_disturb_the_environment_s_own_space(env: SealEnv) -> None:
    env.action_space.seed(1)
    expected = env.action_space.sample()
    env.action_space.seed(1)
    make_agent("random", AgentSettings(env.action_space, seed=9)).act("")
    assert env.action_space.sample() == expected


def test_fixed_agent_gives_the_self_edit_that_it_was_given(env: SealEnv) -> None:
    assert make_agent("fixed", AgentSettings(env.action_space, self_edit="[1]")).act("") == "[1]"


def test_unknown_agent_and_misplaced_self_edit_are_named(env: SealEnv) -> None:
    with pytest.raises(SettingError, match="agent='rndom'"):
        make_agent("rndom", AgentSettings(env.action_space))
    with pytest.raises(SettingError, match="takes none"):
        make_agent("none", AgentSettings(env.action_space, self_edit="[]"))
