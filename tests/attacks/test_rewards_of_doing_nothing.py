"""A self-edit that changes nothing earns what the base model earns, in every reward; a reward is a finite number."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seal_env.domains.registry import get_domain
from seal_env.domains.rewards import REWARDS
from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import Episode
from seal_env.errors import SettingError, TaskError
from seal_env.types import Answer, Evaluation, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop


class Constant(FakeInnerLoop):
    """A base model that knows everything or nothing, and an update that changes nothing."""

    knows = False

    def result(self, job: UpdateJob) -> UpdateResult:
        said = [(query, query.answer if self.knows else "?") for query in job.queries_Q]
        return UpdateResult(Outcome.OK, "", tuple(Answer(query.query_id, self.knows, text, 1.0) for query, text in said))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Constant:
    made = Constant()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: made)
    return made


@pytest.fixture
def custom(tmp_path: Path) -> str:
    pair = {"input": "a", "output": "b"}
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({"examples": [pair, pair], "queries": [pair]}))
    return str(path)


def play(loop: Constant, knows: bool, **settings: Any) -> tuple[float, dict[str, Any]]:
    loop.knows = knows
    env = SealEnv(cache="off", **settings)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(get_domain(settings["domain"]).no_update)
    assert (terminated, info["outcome"]) == (True, "ok")
    return reward, info


@pytest.mark.parametrize("domain", ["arc", "knowledge", "reasoning", "custom"])
def test_nothing_done_earns_what_the_base_model_earns(loop: Constant, custom: str, domain: str) -> None:
    subset = {"arc": "mini-train:2", "knowledge": "synthetic-train:2", "custom": custom}.get(domain)
    for name in (*REWARDS, get_domain(domain).partial_metric):
        for knows in (False, True):
            reward, info = play(loop, knows, domain=domain, subset=subset, reward=name)
            assert info["accuracy_before"] == info["accuracy_after"] == float(knows)
            assert reward == (0.0 if name == "gain" else float(knows)), name


@pytest.mark.parametrize("given", [math.nan, math.inf, None, "0.5", 1j, [1.0], 10**400, object()])
def test_what_is_no_finite_number_is_no_reward(loop: Constant, given: Any) -> None:
    def reward(base: Evaluation, adapted: Evaluation) -> Any:
        return given

    with pytest.raises(SettingError, match=r"reward=.* expected a function that gives finite numbers"):
        play(loop, True, domain="arc", subset="mini-train:2", reward=reward)


def test_task_without_queries_is_refused_where_its_episode_begins() -> None:
    env = SealEnv(domain="arc", subset="mini-train:2")
    with pytest.raises(TaskError, match="task mini-train-0-0 has no queries"):
        Episode(env.runtime, replace(env.taskset["mini-train-0-0"], queries=()), 0)


def test_numbers_of_numpy_and_truth_values_are_rewards(loop: Constant) -> None:
    for given in (np.float32(0.5), np.int64(1), True, np.array(0.25)):
        reward, _ = play(loop, True, domain="arc", subset="mini-train:2", reward=lambda *_, given=given: given)
        assert type(reward) is float
        assert reward == float(given)
