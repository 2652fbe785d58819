"""What every registered agent keeps to, in each domain that it works in. A new one is covered by its line in the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.agents.lm.policy_settings import PolicySettings
from seal_env.agents.registry import AGENTS, AgentSettings, agent_names, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from tests.helpers.servers import PolicyServer

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "arc": {"id": "SEAL-ARC-Mini-v0", "max_examples": 4, "max_steps": 40},
    "knowledge": {"id": "SEAL-Knowledge-v0", "subset": "synthetic-train:3", "max_examples": 3, "default_num_epochs": 1},
}
PAIRS = [(name, domain) for name, entry in AGENTS.items() for domain in entry.domains]

Settings = Callable[..., AgentSettings]


@pytest.fixture(scope="module")
def envs() -> dict[str, SealEnv]:
    made = {domain: gymnasium.make(**settings).unwrapped for domain, settings in ENVIRONMENTS.items()}
    return {domain: env for domain, env in made.items() if isinstance(env, SealEnv)}


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(pair))
def pair(request: pytest.FixtureRequest, policy_server: PolicyServer, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(agent, domain). An agent that asks a server finds it where the environment says."""
    monkeypatch.setenv("OPENAI_BASE_URL", policy_server.base_url)
    name, domain = request.param
    return name, domain


@pytest.fixture
def settings(envs: dict[str, SealEnv], tmp_path: Path) -> Settings:
    """(agent, domain, more) -> what it is built from, with a file for the one that needs a file."""

    def make(name: str, domain: str, **more: Any) -> AgentSettings:
        env = envs[domain]
        device = "auto" if name == "openai_compatible" else "cpu"
        made = AgentSettings.of(env, policy=PolicySettings(max_new_tokens=96, policy_device=device))
        return replace(made, replay_file=str(published(env, tmp_path)) if name == "replay" else None, **more)

    return make


def published(env: SealEnv, folder: Path) -> Path:
    """A file with two self-edits for each passage of the environment."""
    rows = [
        {
            "title": task.context.title,
            "context": task.context.text,
            "questions": [{"question": each.question, "answer": each.answer} for each in task.queries],
            "completions": [f"{task.context.title} is one.", f"{task.context.title} is two."],
        }
        for task in env.taskset
    ]
    path = folder / "published.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_finishes_episodes_with_valid_self_edits(
    envs: dict[str, SealEnv], pair: tuple[str, str], settings: Settings
) -> None:
    """Nearly always: a language model errs now and then."""
    agent = make_agent(pair[0], settings(*pair, seed=0))
    trajectories = [run_episode(envs[pair[1]], agent, seed=seed) for seed in range(3)]
    assert sum(trajectory.info["outcome"] == "ok" for trajectory in trajectories) >= 2
    assert all(0.0 <= trajectory.reward <= 1.0 for trajectory in trajectories)
    agent.update(trajectories)


def test_equal_seeds_give_equal_actions(envs: dict[str, SealEnv], pair: tuple[str, str], settings: Settings) -> None:
    env = envs[pair[1]]
    observation, _ = env.reset(seed=0)
    agents = [make_agent(pair[0], settings(*pair, seed=5)) for _ in range(2)]
    first, second = ([agent.act(observation) for _ in range(5)] for agent in agents)
    assert first == second
    assert sum(env.action_space.contains(action) for action in first) >= (4 if pair[0] == "local_hf" else 5)


def test_an_agent_can_decide_on_many_observations_at_once(
    envs: dict[str, SealEnv], pair: tuple[str, str], settings: Settings
) -> None:
    env = envs[pair[1]]
    observations = [env.reset(seed=0, options={"task_id": task_id})[0] for task_id in env.taskset.task_ids[:2]]
    together, one_by_one = (make_agent(pair[0], settings(*pair, seed=5)) for _ in range(2))
    assert together.act_all(observations) == [one_by_one.act(observation) for observation in observations]


@pytest.mark.parametrize("domain", ENVIRONMENTS)
def test_no_update_leaves_the_accuracy_as_it_was(envs: dict[str, SealEnv], settings: Settings, domain: str) -> None:
    info = run_episode(envs[domain], make_agent("none", settings("none", domain)), seed=0).info
    assert info["outcome"] == "ok"
    assert info["accuracy_after"] == info["accuracy_before"]
    assert info["optimizer_steps"] == 0


def test_passage_only_and_the_usual_self_edit_of_knowledge_learn_the_passage_and_nothing_else(
    envs: dict[str, SealEnv], settings: Settings
) -> None:
    for name in ("passage_only", "fixed"):
        info = run_episode(envs["knowledge"], make_agent(name, settings(name, "knowledge")), seed=0).info
        assert (info["outcome"], info["examples"], info["optimizer_steps"], info["texts"]) == ("ok", 1, 1, 0)


def test_random_agent_does_not_disturb_the_environment_s_own_space(envs: dict[str, SealEnv], settings: Settings) -> None:
    space = envs["arc"].action_space
    space.seed(1)
    expected = space.sample()
    space.seed(1)
    make_agent("random", settings("random", "arc", seed=9)).act("")
    assert space.sample() == expected


@pytest.mark.parametrize("domain", ENVIRONMENTS)
def test_fixed_agent_gives_the_self_edit_that_it_was_given(settings: Settings, domain: str) -> None:
    assert make_agent("fixed", settings("fixed", domain, self_edit="[1]")).act("") == "[1]"


def test_unknown_agents_domains_and_misplaced_settings_are_named(settings: Settings) -> None:
    with pytest.raises(SettingError, match="agent='rndom'"):
        make_agent("rndom", settings("random", "arc"))
    with pytest.raises(SettingError, match=r"domain='chess'.*'arc' or 'knowledge'"):
        make_agent("random", replace(settings("random", "arc"), domain="chess"))
    for name, more in (("none", {"self_edit": "[]"}), ("passage_only", {"replay_file": "x"})):
        with pytest.raises(SettingError, match="takes none"):
            make_agent(name, replace(settings(name, "knowledge"), **more))
    with pytest.raises(SettingError, match="replay_file=None"):
        make_agent("replay", replace(settings("replay", "knowledge"), replay_file=None))


@pytest.mark.parametrize(
    ("name", "domain", "why"),
    [
        ("search", "knowledge", "word no texts"),
        ("bandit", "knowledge", "word no texts"),
        ("replay", "arc", "about a passage"),
        ("passage_only", "arc", "no passage"),
    ],
)
def test_an_agent_of_another_domain_is_refused_with_those_that_fit(
    settings: Settings, name: str, domain: str, why: str
) -> None:
    with pytest.raises(SettingError, match=f"agent='{name}'.*{why}") as caught:
        make_agent(name, replace(settings("none", domain), domain=domain))
    assert all(repr(each) in str(caught.value) for each in agent_names(domain))
    assert name not in agent_names(domain)
