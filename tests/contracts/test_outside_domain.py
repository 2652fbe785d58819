"""A domain from outside the package: nothing of ours changes, and everything works on it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from rich.console import Console

import seal_env
from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import sample_tasks, starts
from seal_env.agents.registry import agent_names, make_agent
from seal_env.cli import main
from seal_env.domains import registry
from seal_env.envs.env import SealEnv
from seal_env.envs.wrappers import StructuredSelfEdit
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.run import run
from seal_env.experiments.settings import RunSettings
from seal_env.journal import Journal
from seal_env.types import Answer

sys.path.append(str(Path(__file__).parents[1] / "helpers" / "outside"))
outside_seal = importlib.import_module("outside_seal")
NAME, ENV_ID, SPEC = outside_seal.NAME, outside_seal.ENV_ID, outside_seal.SPEC
load, ShoutingDomain = outside_seal.load, outside_seal.ShoutingDomain


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    seal_env.register_domain(SPEC)
    yield
    registry._KNOWN.pop(NAME)
    gymnasium.registry.pop(ENV_ID)


def make(**settings: Any) -> SealEnv:
    env = gymnasium.make(ENV_ID, cache="off", **settings).unwrapped
    assert isinstance(env, SealEnv)
    return env


def test_an_episode_is_a_real_update() -> None:
    env = make(prefix="Shout", max_turns=1)
    observation, info = env.reset(seed=0, options={"task_id": "words-0"})
    assert "repeat: Writes each word" in observation
    assert info["task"] == {"domain": NAME, "text": "lamp, word0", "data": {"words": ["lamp", "word0"]}}
    _, reward, terminated, _, info = env.step(SPEC.default_self_edit)
    assert (terminated, info["outcome"], info["examples"], info["gold"]) == (True, "ok", 2, ["LAMP", "STONE"])
    assert reward == info["accuracy_after"]
    assert "loudness_after" in info


def test_many_environments_train_together() -> None:
    envs = gymnasium.make_vec(ENV_ID, num_envs=2, cache="off", reward="loudness")
    envs.reset(seed=0)
    _, rewards, terminations, _, infos = envs.step([SPEC.default_self_edit] * 2)
    assert terminations.all()
    assert rewards.tolist() == infos["loudness_after"].tolist()


def test_every_sample_is_legal() -> None:
    space = make().action_space
    space.seed(0)
    assert all(space.contains(space.sample()) for _ in range(50))


def test_numbers_become_self_edits_and_back() -> None:
    wrapped = StructuredSelfEdit(make(max_turns=1))
    action = wrapped.action_space.sample()
    assert (wrapped.numeric_actions.encode(wrapped.numeric_actions.decode(action)) == action).all()


def test_agents_that_can_work_there_do() -> None:
    env = make()
    assert {"random", "fixed", "none", "search"} <= set(agent_names(AgentContext.of(env)))
    assert "passage_only" not in agent_names(AgentContext.of(env))


def test_a_run_records_its_episodes(tmp_path: Path) -> None:
    config = ExperimentConfig(ENV_ID, {"cache": "off"}, {}, tmp_path / "run")
    trajectories = run("fixed", RunSettings(episodes=2), config, Console(quiet=True))
    assert [trajectory.info["outcome"] for trajectory in trajectories] == ["ok", "ok"]
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 2


def test_an_evaluation_samples_its_tasks(tmp_path: Path) -> None:
    env = make(max_turns=1)
    env.runtime.load()
    agent = make_agent("random", AgentContext.of(env))
    samples = sample_tasks(env.runtime, agent, starts(env.taskset.task_ids, 1, 0), 4, Journal(tmp_path / "samples.jsonl"))
    assert [sample.outcome for sample in samples] == ["ok"] * 3


def test_the_command_line_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "--domain", NAME]) == 0
    assert "repeat" in capsys.readouterr().out
    assert main(["tasks", "list", "--domain", NAME, "--subset", "words"]) == 0
    assert "words-2" in capsys.readouterr().out


def test_its_name_cannot_be_taken_and_settings_of_others_are_refused() -> None:
    with pytest.raises(SettingError, match=f"domain='{NAME}'"):
        seal_env.register_domain(replace(SPEC, summary="another"))
    with pytest.raises(SettingError, match="evaluation='vote'"):
        make(evaluation="vote")


def test_answers_are_scored_by_it() -> None:
    task, domain = load("words", None)["words-1"], ShoutingDomain("Say")
    answers = [Answer(query.query_id, True, query.answer, 1.0) for query in domain.queries(task, 0)]
    assert domain.score(task, answers, 0).solved
