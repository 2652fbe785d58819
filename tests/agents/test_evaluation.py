"""What an agent is worth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.baselines.fixed import FixedAgent
from seal_env.agents.baselines.random_agent import RandomAgent
from seal_env.agents.evaluation import EvalSample, difference, read_samples, sample_tasks, starts, summary
from seal_env.domains.arc import ARC
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.errors import PolicyError
from seal_env.journal import Journal
from seal_env.settings import Settings
from tests.helpers.tools import ARC_TOOLS, EPOCHS

SOLVED = EvalSample("a", 0, "[]", "ok", "", 1.0, 0.0, 1.0, 10, 100, 2.0)
UNSOLVED = replace(SOLVED, reward=0.0, accuracy=0.0)
MISTAKE = replace(UNSOLVED, outcome="not_json", accuracy_before=math.nan, steps=0, tokens=0)
FAILED = replace(UNSOLVED, outcome="engine_error", reward=math.nan, accuracy=math.nan)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    made = Runtime(Settings.resolve(subset="mini-eval:3", max_turns=1, decode="never", max_examples=4))
    made.load()
    return made


class Unreachable(Agent):
    """Cannot be asked about some observations."""

    def __init__(self, every: int) -> None:
        self.every = every

    def act(self, observation: str, info: Info) -> str:
        raise PolicyError("no server")

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        failure = PolicyFailure("no server")
        return [failure if index % self.every == 0 else ARC.no_update for index in range(len(observations))]


def test_equal_seeds_start_equal_episodes() -> None:
    first = starts(["a", "b"], 3, 5)
    assert first == starts(["a", "b"], 3, 5)
    assert [(number, start.task_id) for number, start in first] == [(n, task) for task in "ab" for n in range(3)]
    assert len({start.seed for _, start in first}) == 6
    assert {start.seed for _, start in first}.isdisjoint({start.seed for _, start in starts(["a", "b"], 3, 6)})


def test_a_run_that_was_stopped_goes_on_as_it_would_have(runtime: Runtime, tmp_path: Path) -> None:
    def run(path: Path) -> list[EvalSample]:
        agent = RandomAgent(SelfEditSpace(ARC_TOOLS, {EPOCHS: (1, 2)}), seed=0)
        return sample_tasks(runtime, agent, starts(runtime.taskset.task_ids, 2, 1), 2, Journal(path))

    whole = run(tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    (tmp_path / "cut.jsonl").write_text("".join(lines[:1]) + lines[1][:20])
    again = run(tmp_path / "cut.jsonl")
    assert [replace(sample, seconds=0.0) for sample in again] == [replace(sample, seconds=0.0) for sample in whole]
    assert len({sample.action for sample in whole}) == 6


def test_samples_hold_what_came_of_the_episodes(runtime: Runtime, tmp_path: Path) -> None:
    episodes = starts(runtime.taskset.task_ids, 1, 1)
    samples = sample_tasks(runtime, FixedAgent(ARC.no_update), episodes, 8, Journal(tmp_path / "a.jsonl"))
    assert all(sample.accuracy == sample.accuracy_before and sample.steps == 0 for sample in samples)
    (mistaken, *_) = sample_tasks(runtime, FixedAgent("?"), episodes, 8, Journal(tmp_path / "b.jsonl"))
    assert (mistaken.outcome, mistaken.accuracy, mistaken.failed) == ("not_json", 0.0, False)
    assert "NaN" not in (tmp_path / "b.jsonl").read_text()


def test_a_policy_that_cannot_be_asked_is_no_reward(runtime: Runtime, tmp_path: Path) -> None:
    samples = sample_tasks(runtime, Unreachable(2), starts(runtime.taskset.task_ids, 2, 1), 6, Journal(tmp_path / "a.jsonl"))
    assert [sample.failed for sample in samples] == [True, False] * 3
    assert {sample.reason for sample in samples if sample.failed} == {"no server"}
    assert all(json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines())
    found = summary(samples)
    assert (found["tasks"], found["samples"], found["failed"]) == (3, 6, 3)


def test_summary_counts_by_task() -> None:
    other = [replace(sample, task_id="b") for sample in (UNSOLVED, MISTAKE, FAILED)]
    found = summary([SOLVED, UNSOLVED, *other])
    assert found["solved"]["mean"] == pytest.approx(0.25)
    assert found["valid"]["mean"] == pytest.approx(0.75)
    assert {k: value["mean"] for k, value in found["pass_at"].items()} == {"1": 0.25, "2": 0.5}
    assert found["cost"] == {"steps": 7.5, "tokens": 75.0, "seconds": 2.0}


def test_the_base_model_has_an_accuracy_where_a_self_edit_measured_it() -> None:
    assert summary([replace(SOLVED, accuracy_before=0.5), MISTAKE])["accuracy_before"]["mean"] == 0.5
    assert summary([MISTAKE])["accuracy_before"] is None


def test_a_mistake_counts_in_word_f1_and_has_no_length() -> None:
    right = replace(SOLVED, metrics={"word_f1": 1.0, "answer_words": 3.0})
    mistake = replace(MISTAKE, metrics={"word_f1": 0.0, "answer_words": math.nan})
    means = {name: interval["mean"] for name, interval in summary([right, mistake])["metrics"].items()}
    assert means == {"word_f1": 0.5, "answer_words": 3.0}
    assert summary([replace(mistake, metrics={"answer_words": math.nan})])["metrics"] == {}


def test_further_measures_of_texts_are_in_the_journal(tmp_path: Path) -> None:
    settings = Settings.resolve(domain="knowledge", subset="synthetic-eval:2", max_turns=1, default_num_epochs=1)
    runtime = Runtime(settings)
    runtime.load()
    journal, episodes = Journal(tmp_path / "a.jsonl"), starts(runtime.taskset.task_ids, 1, 1)
    samples = sample_tasks(runtime, FixedAgent('[{"name": "finetune", "arguments": {}}]'), episodes, 8, journal)
    assert all(0 <= sample.metrics["word_f1"] <= 1 < sample.metrics["answer_words"] for sample in samples)
    assert read_samples(journal) == samples
    (mistaken, _) = sample_tasks(runtime, FixedAgent("[]"), episodes, 8, other := Journal(tmp_path / "b.jsonl"))
    assert mistaken.metrics["word_f1"] == 0.0
    assert math.isnan(read_samples(other)[0].metrics["answer_words"])
    assert "NaN" not in other.path.read_text()


def test_summary_of_failures_alone_has_no_means() -> None:
    assert summary([FAILED]) == {"tasks": 0, "samples": 1, "failed": 1}


def test_difference_is_taken_task_by_task() -> None:
    mine = [replace(SOLVED, task_id=str(n)) for n in range(20)]
    theirs = [replace(sample, accuracy=0.75) for sample in mine[:15]]
    assert difference(mine, theirs) == pytest.approx((0.25, 0.25, 0.25))
