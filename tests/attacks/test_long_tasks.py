"""A task that is too long for the model is left out, and no environment loses its step because of another's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from seal_env.domains.arc import ARC
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.env import SealEnv
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.errors import SettingError, TaskError
from seal_env.types import Outcome

LONG = "3631a71a"
"""A training task of ARC-AGI-1: its query takes more tokens than seal-tiny does."""
SHORT = "5582e5ca"
MIXED: dict[str, Any] = {"domain": "arc", "subset": f"{LONG},{SHORT}", "cache": "off", "max_examples": 2}
NONE = ARC.no_update


def test_a_long_task_is_left_out_with_a_warning_and_the_others_come() -> None:
    env = SealEnv(**MIXED)
    with pytest.warns(UserWarning, match=rf"1 of 2 tasks of .* left out: {LONG}: a query takes about 9326 tokens"):
        found = {env.reset(seed=seed)[1]["task_id"] for seed in range(6)}
    assert found == {SHORT}
    with pytest.warns(UserWarning, match="1 of 2 tasks"):
        assert (env.taskset.task_ids, len(env.taskset)) == ((SHORT,), 1)
    assert [task.task_id for task in env.taskset] == [SHORT]


def test_a_long_task_chosen_by_its_id_is_an_outcome_from_the_start() -> None:
    env = SealEnv(**MIXED)
    info = env.reset(seed=0, options={"task_id": LONG})[1]
    assert info["outcome"] == Outcome.TASK_TOO_LONG
    for action in (NONE, "[]", "not json"):
        env.reset(seed=0, options={"task_id": LONG})
        _, reward, terminated, truncated, info = env.step(action)
        assert math.isnan(reward)
        assert (terminated, truncated, info["outcome"]) == (False, True, "task_too_long")
        assert "the model takes at most 8192" in info["reason"]


def test_in_a_vector_a_long_task_costs_the_others_nothing() -> None:
    envs = SealVectorEnv(num_envs=2, **MIXED)
    envs.reset(seed=0, options={"task_ids": [LONG, SHORT]})
    _, rewards, terminations, truncations, infos = envs.step([NONE, NONE])
    assert infos["outcome"].tolist() == ["task_too_long", "ok"]
    assert (terminations.tolist(), truncations.tolist()) == ([False, True], [True, False])
    assert [math.isnan(reward) for reward in rewards] == [True, False]


def test_a_task_set_of_nothing_but_long_tasks_is_an_error_that_names_them() -> None:
    with pytest.raises(TaskError, match=rf"no task of {LONG} fits the model: {LONG}: a query takes"):
        SealEnv(**MIXED | {"subset": LONG}).reset(seed=0)


def passages(path: Path) -> str:
    rows = [
        {"title": str(number), "context": f"Passage {number}.", "questions": [{"question": question, "answer": "a"}]}
        for number, question in enumerate(["Who?", "Why " * 3000, "Where?", "When?"])
    ]
    path.write_text(json.dumps(rows))
    return str(path)


def test_a_sequence_has_no_long_task(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"domain": "knowledge", "subset": passages(tmp_path / "p.json")}
    env = SealContinualEnv(**settings, sequence=3)
    with pytest.warns(UserWarning, match="1 of 4 tasks"):
        _, info = env.reset(seed=0)
    assert len(info["sequence"]) == 3
    assert not any(task_id.startswith("1-") for task_id in info["sequence"])
    first, long, third = env.runtime.all_tasks.task_ids[:3]
    assert env.reset(options={"task_id": first})[1]["sequence"][1] == third
    for options in ({"task_id": long}, {"task_ids": [first, long, third]}):
        with pytest.raises(SettingError, match="the model takes"):
            env.reset(options=options)


def test_a_sequence_longer_than_the_tasks_that_fit_is_an_error(tmp_path: Path) -> None:
    env = SealContinualEnv(domain="knowledge", subset=passages(tmp_path / "p.json"), sequence=4)
    with pytest.warns(UserWarning, match="1 of 4"), pytest.raises(SettingError, match=r"sequence=4 .* at most 3"):
        env.reset(seed=0)
