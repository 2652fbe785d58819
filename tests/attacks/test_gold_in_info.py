"""No info has a gold answer that a later reward still asks for."""

from __future__ import annotations

from typing import Any

import pytest

from seal_env.envs.continual_env import SealContinualEnv

FINETUNE = '[{"name": "finetune", "arguments": {}}]'
SMALL: dict[str, Any] = {"domain": "knowledge", "subset": "synthetic-eval:3", "sequence": 3, "default_num_epochs": 1}


@pytest.fixture(scope="module")
def steps() -> list[tuple[Any, ...]]:
    env = SealContinualEnv(**SMALL, max_turns=2)
    env.reset(seed=0)
    return [env.step(action) for action in ("[]", FINETUNE, FINETUNE, "{", FINETUNE)]


def test_gold_answers_come_at_the_end_of_the_sequence_alone(steps: list[tuple[Any, ...]]) -> None:
    assert [terminated for _, _, terminated, _, _ in steps] == [False, False, False, False, True]
    assert ["gold" in info for *_, info in steps] == [False, False, False, False, True]


def test_the_end_has_the_gold_answers_of_every_task(steps: list[tuple[Any, ...]]) -> None:
    env = SealContinualEnv(**SMALL)
    *_, info = steps[-1]
    golds = [list(env.domain.gold(env.taskset[task_id])) for task_id in info["sequence"]]
    assert info["gold"] == golds
