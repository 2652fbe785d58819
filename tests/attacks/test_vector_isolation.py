"""Beside others, a bug that one action meets ends its own episode and costs the others nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.episodes.runtime import Runtime
from seal_env.settings import Settings
from seal_env.tools.arc.augment import AUGMENT
from seal_env.tools.base import Draft

NONE = ARC.no_update
BUG = NONE.replace('"use_repeat_augmentations": false', '"use_repeat_augmentations": true')


def buggy(draft: Draft, context: Any, arguments: Any) -> Draft:
    if arguments.use_repeat_augmentations:
        raise ZeroDivisionError("in a tool")
    return AUGMENT.apply(draft, context, arguments)


@pytest.fixture
def runtime() -> Runtime:
    made = Runtime(Settings.resolve(domain="arc", subset="mini-train:2", max_examples=2, cache="off"))
    made.tools = (replace(AUGMENT, apply=buggy), *ARC.tools[1:])
    return made


def test_a_bug_in_one_action_of_many_ends_its_own_episode(runtime: Runtime) -> None:
    envs = SealVectorEnv(num_envs=3, runtime=runtime)
    envs.reset(seed=0)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError: in a tool"):
        _, rewards, terminations, truncations, infos = envs.step([NONE, BUG, NONE])
    assert infos["outcome"].tolist() == ["ok", "engine_error", "ok"]
    assert infos["reason"].tolist() == ["", "a bug: ZeroDivisionError: in a tool", ""]
    assert (terminations.tolist(), truncations.tolist()) == ([True, False, True], [False, True, False])
    assert [math.isnan(reward) for reward in rewards] == [False, True, False]


def test_a_bug_in_a_reward_ends_the_episodes_that_it_concerns() -> None:
    def reward(base: Any, updated: Any) -> float:
        raise ZeroDivisionError("in a reward")

    envs = SealVectorEnv(num_envs=2, domain="arc", subset="mini-train:2", reward=reward, cache="off")
    envs.reset(seed=0)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError: in a reward"):
        infos = envs.step([NONE, "[]"])[4]
    assert infos["outcome"].tolist() == ["engine_error", "not_json"]


def test_a_bug_in_a_metric_ends_the_episodes_that_it_concerns(tmp_path: Path) -> None:
    def metric(question: str, gold: str, answer: str) -> float:
        return 1 / (gold == "good")

    pair = [{"input": "a", "output": "b"}]
    rows = [{"examples": pair, "queries": [{"input": "c", "output": gold}]} for gold in ("good", "bad")]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    envs = SealVectorEnv(num_envs=2, domain="custom", subset=str(path), metric=metric, default_num_epochs=1, cache="off")
    envs.reset(seed=0, options={"task_ids": ["tasks-1", "tasks-2"]})
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        infos = envs.step(['[{"name": "finetune"}]'] * 2)[4]
    assert infos["outcome"].tolist() == ["ok", "engine_error"]


def test_a_bug_in_the_only_episode_is_raised(runtime: Runtime) -> None:
    env = SealEnv(runtime=runtime)
    env.reset(seed=0)
    with pytest.raises(ZeroDivisionError):
        env.step(BUG)
