"""What every registered agent keeps to, in each domain that it works in. A new one is covered by its line in the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gymnasium
import pytest

from seal_env.agents.base import Agent
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import agent_names, agent_options, agents, get_agent, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import domains
from seal_env.envs.env import SealEnv
from seal_env.errors import MissingExtraError, SettingError
from seal_env.options import Options
from tests.helpers.servers import PolicyServer

SMALL: dict[str, Any] = {"max_examples": 3, "max_steps": 40, "default_num_epochs": 1}
SUBSETS = {"arc": "mini-train", "knowledge": "synthetic-train:3"}
"""Where the tasks of the domain's first environment are large."""


def small(spec: DomainSpec) -> Any:
    """A domain's first environment, with short updates; None where its extra is not installed."""
    subset: dict[str, Any] = {"subset": SUBSETS[spec.name]} if spec.name in SUBSETS else {}
    try:
        return gymnasium.make(next(iter(spec.environments)), **SMALL, **subset).unwrapped
    except MissingExtraError:
        return None


ENVS: dict[str, Any] = {name: env for name, spec in domains().items() if (env := small(spec)) is not None}
PAIRS = [(name, domain) for domain, env in ENVS.items() for name in agent_names(AgentContext.of(env))]
OPTIONS: dict[str, dict[str, Any]] = {
    "local_hf": {"max_new_tokens": 96, "policy_device": "cpu"},
    "openai_compatible": {"max_new_tokens": 96},
}

Make = Callable[..., Agent]


@pytest.fixture(scope="module")
def envs() -> dict[str, SealEnv]:
    return ENVS


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(pair))
def pair(request: pytest.FixtureRequest, policy_server: PolicyServer, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(agent, domain). An agent that asks a server finds it where the environment says."""
    monkeypatch.setenv("OPENAI_BASE_URL", policy_server.base_url)
    name, domain = request.param
    return name, domain


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """(agent, domain, seed, options) -> the agent, with a file for the one that needs a file."""

    def make(name: str, domain: str, seed: int = 0, **options: Any) -> Agent:
        env = ENVS[domain]
        files: dict[str, tuple[str, Callable[[], Path]]] = {
            "replay": ("replay_file", lambda: published(env, tmp_path)),
            "sb3": ("policy_file", lambda: trained(env)),
        }
        needed = {files[name][0]: files[name][1]()} if name in files else OPTIONS.get(name, {})
        return make_agent(name, AgentContext.of(env, seed), **{**needed, **options})

    return make


@cache
def trained(env: SealEnv) -> Path:
    """A file with a policy of Stable-Baselines3 for the environment, as it begins."""
    from stable_baselines3 import PPO

    from seal_env.agents.rl.policy_file import save_policy
    from seal_env.agents.rl.sb3 import Sb3VecEnv
    from seal_env.envs.wrappers import numeric_vector_env

    made = numeric_vector_env(num_envs=1, parts=("summary",), subset="mini-train:1", autoreset_mode="SameStep")
    path = Path(mkdtemp()) / "policy.safetensors"
    save_policy(PPO("MultiInputPolicy", Sb3VecEnv(made), seed=0), path)
    return path


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


def test_finishes_episodes_with_valid_self_edits(envs: dict[str, SealEnv], pair: tuple[str, str], make: Make) -> None:
    """Nearly always: a language model errs now and then."""
    agent = make(*pair)
    trajectories = [run_episode(envs[pair[1]], agent, seed=seed) for seed in range(3)]
    assert sum(trajectory.info["outcome"] == "ok" for trajectory in trajectories) >= 2
    assert all(0.0 <= trajectory.reward <= 1.0 for trajectory in trajectories)
    agent.learn(trajectories)


def test_equal_seeds_give_equal_actions(envs: dict[str, SealEnv], pair: tuple[str, str], make: Make) -> None:
    env = envs[pair[1]]
    shown = env.reset(seed=0)
    first, second = ([agent.act(*shown) for _ in range(5)] for agent in (make(*pair, seed=5), make(*pair, seed=5)))
    assert first == second
    assert sum(env.action_space.contains(action) for action in first) >= (4 if pair[0] == "local_hf" else 5)


def test_an_agent_can_decide_on_many_observations_at_once(
    envs: dict[str, SealEnv], pair: tuple[str, str], make: Make
) -> None:
    env = envs[pair[1]]
    shown = [env.reset(seed=0, options={"task_id": task_id}) for task_id in env.taskset.task_ids[:2]]
    together, one_by_one = (make(*pair, seed=5) for _ in range(2))
    observations, infos = zip(*shown, strict=True)
    assert together.act_all(observations, infos) == [one_by_one.act(*each) for each in shown]


def test_the_registry_knows_whether_it_learns(pair: tuple[str, str], make: Make) -> None:
    assert get_agent(pair[0]).learns == make(*pair).learns


@pytest.mark.parametrize("domain", ENVS)
def test_no_update_leaves_the_accuracy_as_it_was(envs: dict[str, SealEnv], make: Make, domain: str) -> None:
    info = run_episode(envs[domain], make("none", domain), seed=0).info
    assert info["outcome"] == "ok"
    assert info["accuracy_after"] == info["accuracy_before"]
    assert info["optimizer_steps"] == 0


def test_passage_only_and_the_default_self_edit_of_knowledge_learn_the_passage_and_nothing_else(
    envs: dict[str, SealEnv], make: Make
) -> None:
    for name in ("passage_only", "fixed"):
        info = run_episode(envs["knowledge"], make(name, "knowledge"), seed=0).info
        assert (info["outcome"], info["examples"], info["optimizer_steps"], info["texts"]) == ("ok", 1, 1, 0)


def test_random_agent_does_not_disturb_the_environment_s_own_space(envs: dict[str, SealEnv], make: Make) -> None:
    space = envs["arc"].action_space
    space.seed(1)
    expected = space.sample()
    space.seed(1)
    make("random", "arc", seed=9).act("", {})
    assert space.sample() == expected


@pytest.mark.parametrize("domain", ENVS)
def test_fixed_agent_gives_the_self_edit_that_it_was_given(make: Make, domain: str) -> None:
    assert make("fixed", domain, self_edit="[1]").act("", {}) == "[1]"


def test_unknown_agents_and_options_are_named(make: Make) -> None:
    with pytest.raises(SettingError, match=r"agent='rndom'.*'random'"):
        make("rndom", "arc")
    with pytest.raises(SettingError, match=r"self_edit='\[\]'.*'none' has no such option \('fixed'"):
        make("none", "arc", self_edit="[]")
    with pytest.raises(SettingError, match=r"temperature=0.5.*'local_hf' and 'openai_compatible'"):
        make("random", "arc", temperature=0.5)
    with pytest.raises(SettingError, match=r"temprature=0.5.*did you mean 'temperature'"):
        make("local_hf", "arc", temprature=0.5)
    with pytest.raises(SettingError, match=r"temperature=-1.*at least 0"):
        make("local_hf", "arc", temperature=-1)
    with pytest.raises(SettingError, match="replay_file=None"):
        make("replay", "knowledge", replay_file=None)
    with pytest.raises(SettingError, match="policy_file=None"):
        make_agent("sb3", AgentContext.of(ENVS["arc"]))


@pytest.mark.parametrize(
    ("name", "domain", "why"),
    [
        ("search", "knowledge", "numbers, switches"),
        ("bandit", "knowledge", "numbers, switches"),
        ("sb3", "knowledge", "pairs of grids"),
        ("replay", "arc", "that are passages"),
        ("passage_only", "reasoning", "that are passages"),
        ("oracle_texts", "custom", "that are passages"),
    ],
)
def test_an_agent_that_cannot_work_in_a_domain_is_refused_with_those_that_can(name: str, domain: str, why: str) -> None:
    context = AgentContext.of(ENVS[domain])
    with pytest.raises(SettingError, match=f"agent='{name}'.*{why}") as caught:
        make_agent(name, context)
    able = agent_names(context)
    assert all(repr(each) in str(caught.value) for each in able)
    assert name not in able


FEWER_TOOLS = [
    ("SEAL-Custom-v0", {"tools": ("training", "finetune"), "in_context": False}),
    ("SEAL-Custom-v0", {"tools": ("self_qa", "training", "finetune"), "learn_examples": False}),
    ("SEAL-Knowledge-v0", {"tools": ("training", "finetune")}),
    ("SEAL-Knowledge-v0", {"tools": ("rewrite", "training", "finetune"), "learn_passage": False}),
]


@pytest.mark.parametrize(("env_id", "settings"), FEWER_TOOLS)
def test_with_fewer_tools_no_update_is_still_measured_and_not_a_mistake(env_id: str, settings: dict[str, Any]) -> None:
    env: Any = gymnasium.make(env_id, **SMALL, **settings)
    agent = make_agent("none", AgentContext.of(env))
    trajectory = run_episode(env, agent, env.unwrapped.runtime.taskset.task_ids[0], 0)
    assert (trajectory.info["outcome"], trajectory.info["optimizer_steps"]) == ("ok", 0)
    assert trajectory.info["accuracy_after"] == trajectory.info["accuracy_before"] is not None


@pytest.mark.parametrize(("env_id", "settings"), FEWER_TOOLS)
def test_with_fewer_tools_the_default_self_edit_is_no_mistake(env_id: str, settings: dict[str, Any]) -> None:
    env: Any = gymnasium.make(env_id, **SMALL, **settings)
    agent = make_agent("fixed", AgentContext.of(env))
    env.reset(seed=0)
    assert env.action_space.contains(agent.act("", {}))


def test_agents_whose_tools_an_environment_lacks_do_not_work_there() -> None:
    context = AgentContext.of(gymnasium.make("SEAL-Knowledge-v0", **SMALL, tools=("rewrite", "finetune")))
    assert not {"none", "oracle_texts"} & set(agent_names(context))
    for name, tool in (("none", "training"), ("oracle_texts", "implications")):
        with pytest.raises(SettingError, match=f"agent='{name}'.*`{tool}`"):
            make_agent(name, context)
    arc = AgentContext.of(gymnasium.make("SEAL-ARC-v0", **SMALL, tools=("augment", "finetune")))
    with pytest.raises(SettingError, match="training"):
        make_agent("fixed", arc)


def test_every_option_has_a_description_and_one_meaning() -> None:
    fields: dict[str, str] = {}
    for model in agent_options().values():
        assert issubclass(model, Options)
        for name, field in model.model_fields.items():
            assert field.description
            assert fields.setdefault(name, field.description) == field.description


def test_every_agent_works_in_some_domain_and_has_a_summary() -> None:
    assert {name for name, _ in PAIRS} == set(agents())
    assert all(get_agent(name).summary for name in agents())


def test_an_agent_that_overrides_learn_learns() -> None:
    class Learner(Agent):
        def act(self, observation: str, info: Any) -> str:
            return ""

        def learn(self, trajectories: Any) -> None:
            pass

    assert (Learner.learns, Agent.learns) == (True, False)
