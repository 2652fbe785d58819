"""No legal action trains for minutes: what training reads is bounded, whatever the examples are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seal_env.envs.env import SealEnv
from seal_env.envs.vector_env import SealVectorEnv

LONG_TEXTS = [f"{number} " + "\N{FIRE}" * 505 for number in range(64)]
ALL = {f"use_{kind}_augmentations": True for kind in ("basic", "size", "chain", "repeat")}


def action(epochs: int, **tools: Any) -> str:
    training = {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": epochs}
    calls = {**tools, "training": training, "finetune": {}}
    listed = [{"name": name, "arguments": arguments} for name, arguments in calls.items()]
    return json.dumps(listed, ensure_ascii=False)


COSTLY = {
    "knowledge": action(20, implications={"texts": LONG_TEXTS}),
    "arc": action(15, augment=ALL),
}


@pytest.fixture(scope="module", params=COSTLY)
def env(request: pytest.FixtureRequest) -> SealEnv:
    return SealEnv(domain=request.param, cache="off")


def test_training_that_would_read_too_many_tokens_is_a_mistake(env: SealEnv) -> None:
    env.reset(seed=0, options={"task_id": "5bd6f4ac"} if env.settings.domain == "arc" else None)
    _, reward, terminated, truncated, info = env.step(COSTLY[env.settings.domain])
    assert (reward, terminated, truncated, info["outcome"]) == (0.0, True, False, "over_budget")
    assert info["training_tokens"] == 0
    assert f"tokens of {info['budget']['max_training_tokens']}" in info["reason"]


def test_an_open_draft_is_told_that_it_is_over_the_budget(env: SealEnv) -> None:
    env.reset(seed=0, options={"task_id": "5bd6f4ac"} if env.settings.domain == "arc" else None)
    calls = json.loads(COSTLY[env.settings.domain])[:-1]
    observation, reward, terminated, _, info = env.step(json.dumps(calls, ensure_ascii=False))
    assert "That is over the budget: use fewer epochs, or fewer or shorter examples." in observation
    assert (reward, terminated, info["outcome"]) == (0.0, False, "ok")


def test_the_budget_of_tokens_grows_with_the_segments_of_a_task() -> None:
    env = SealEnv(domain="knowledge", passages=3, max_training_tokens=10)
    assert env.runtime.budget.max_training_tokens == 30


def test_one_costly_action_of_many_costs_the_others_nothing() -> None:
    envs = SealVectorEnv(num_envs=2, domain="knowledge", subset="synthetic-train:2", max_training_tokens=500, cache="off")
    envs.reset(seed=0)
    short = action(1, implications={"texts": ["One."]})
    _, _, terminated, _, info = envs.step([COSTLY["knowledge"], short])
    assert terminated.all()
    assert info["outcome"].tolist() == ["over_budget", "ok"]
    envs.close()
