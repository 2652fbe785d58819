"""Rows that choose among templates."""

from __future__ import annotations

import pytest

from seal_env.agents.evaluation import EvalSample
from seal_env.errors import UpdateError
from seal_env.experiments.reproduce.chosen import shared_means


def of(task: str, *rewards: float) -> dict[str, list[EvalSample]]:
    return {task: [EvalSample(task, n, "", "ok", "", reward, 0.0, reward, 1, 1, 0.0) for n, reward in enumerate(rewards)]}


def test_templates_are_compared_on_the_tasks_that_all_were_measured_on() -> None:
    assert shared_means({"one": of("a", 0.0, 1.0) | of("b", 1.0), "two": of("a", 0.6)}) == {"one": 0.5, "two": 0.6}


def test_a_template_without_a_measured_task_is_never_chosen() -> None:
    with pytest.raises(UpdateError, match=r"one on 1 task, two on 0 tasks\): rerun the command"):
        shared_means({"one": of("a", 1.0), "two": {}})
