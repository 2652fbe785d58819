"""A domain from outside the package: nothing of ours changes, and everything works on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from pydantic import Field
from rich.console import Console

import seal_env
from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import sample_tasks, starts
from seal_env.agents.registry import agent_names, make_agent
from seal_env.cli import main
from seal_env.domains import registry
from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.envs.env import SealEnv
from seal_env.envs.wrappers import StructuredSelfEdit
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.run import run
from seal_env.experiments.settings import RunSettings
from seal_env.journal import Journal
from seal_env.tasks.base import ListTaskset, TasksetEntry
from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.types import Answer, Evaluation, Example, Query, Task

NAME, ENV_ID = "shouting", "Outside/Shouting-v0"


class RepeatArguments(Arguments):
    times: int = Field(ge=1, le=3, description="How often each word is written.")
    loud: bool = Field(description="Whether it is written in capitals.")


def repeat(draft: Draft, context: EditContext, given: RepeatArguments) -> Draft:
    words = [word.upper() if given.loud else word for word in context.segment]
    return replace(draft, candidates=tuple(" ".join([word] * given.times) for word in words))


REPEAT = Tool("repeat", "Writes each word of the task once or more.", RepeatArguments, repeat)


class ShoutingOptions(DomainOptions):
    prefix: str = "Say"
    """First word of every query."""


@dataclass(frozen=True)
class ShoutingDomain:
    """Words to shout: the answer to a word is the word in capitals."""

    prefix: str
    briefing: str = "The task is some words."
    queries_depend_on_seed: bool = False

    def segments(self, context: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (context,)

    def render(self, segment: tuple[str, ...]) -> str:
        return ", ".join(segment)

    def as_data(self, segment: tuple[str, ...]) -> dict[str, Any]:
        return {"words": list(segment)}

    def add_default_examples(self, segment: Any, candidates: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return candidates

    def render_example(self, example: str) -> Example:
        return Example(document=example)

    def queries(self, task: Task[Any, str], seed: int) -> tuple[Query, ...]:
        return tuple(Query(word, (), word.upper(), r"\w+", 4, f"{self.prefix} {word}:") for word in task.queries)

    def score(self, task: Task[Any, str], answers_Q: Any, seed: int) -> Evaluation:
        right = [answer.exact for answer in answers_Q]
        share = sum(right) / len(right)
        return Evaluation(share, share, tuple((answer.text,) for answer in answers_Q))

    def gold(self, task: Task[Any, str]) -> tuple[str, ...]:
        return tuple(word.upper() for word in task.queries)

    def panels(self, task: Task[Any, str], shown: Any) -> list[list[tuple[str, Any]]]:
        return [[("words", ", ".join(task.context))]]


def load(subset: str, options: Any) -> ListTaskset[Any, str]:
    return ListTaskset(subset, tuple(Task(f"{subset}-{n}", ("lamp", f"word{n}"), ("lamp", "stone")) for n in range(3)))


def edit(times: int, epochs: int) -> str:
    training = {"strategy": "train_using_all_tokens", "learning_rate": 1e-3, "num_train_epochs": epochs}
    calls = {"repeat": {"times": times, "loud": True}, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


SPEC = DomainSpec(
    name=NAME,
    summary="words to shout",
    tools=(REPEAT, TRAINING, FINETUNE),
    options=ShoutingOptions,
    load=load,
    make=lambda options, caches: ShoutingDomain(options.prefix),
    environments={ENV_ID: {"subset": "words"}},
    tasksets={"words": TasksetEntry("three tasks", lambda count: load("words", None))},
    train_set="words",
    held_out="words",
    partial_metric="loudness",
    default_self_edit=edit(2, 1),
    no_update=edit(1, 0),
    columns=lambda task: {"words": str(len(task.context))},
    validate=lambda taskset, free_answers: {},
    defaults={"model": "seal-tiny-text", "subset": "words", "lora_rank": 4, "default_num_epochs": 1},
)


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
