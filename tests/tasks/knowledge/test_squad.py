"""Real passages with their published self-edits, learned by a pretrained model: SmolLM2-135M on 20 passages of SQuAD."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from seal_env.intervals import bootstrap
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tasks.knowledge.passage import published

pytestmark = pytest.mark.slow

PASSAGES = 20
TOGETHER = 10
EPOCHS = 5
"""Half of the paper's: more take more than a quarter of an hour on a CPU."""
NONE = json.dumps(
    [
        {
            "name": "training",
            "arguments": {"strategy": "train_using_all_tokens", "learning_rate": 1e-3, "num_train_epochs": 0},
        },
        {"name": "finetune", "arguments": {}},
    ]
)
PASSAGE_ONLY = json.dumps([{"name": "finetune", "arguments": {}}])


@pytest.fixture(autouse=True)
def _all_threads() -> Iterator[None]:
    """A model of this size has work for every core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(threads)


def accuracies(envs: gymnasium.vector.VectorEnv[Any, Any, Any], task_ids: list[str], actions: list[str]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(task_ids), TOGETHER):
        envs.reset(seed=0, options={"task_ids": task_ids[start : start + TOGETHER]})
        _, rewards, _, truncated, _ = envs.step(actions[start : start + TOGETHER])
        assert not truncated.any()
        found += rewards.tolist()
    return found


def test_published_self_edits_are_learned_better_than_the_passage_alone(
    smollm2_directory: str, data_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paper's recipe but for the epochs; what is found is printed."""
    subset = f"{data_directory / 'squad_self_edits.jsonl'}:{PASSAGES}"
    tasks = list(load_passages(subset))
    envs = gymnasium.make_vec(
        "SEAL-Knowledge-v0",
        num_envs=TOGETHER,
        autoreset_mode="Disabled",
        model=smollm2_directory,
        subset=subset,
        device="cpu",
        max_turns=1,
        default_num_epochs=EPOCHS,
    )
    ids = [task.task_id for task in tasks]
    rows = {
        "no update": [NONE] * PASSAGES,
        "passage": [PASSAGE_ONLY] * PASSAGES,
        "passage + published self-edit": [published(task)[0] for task in tasks],
    }
    found = {name: accuracies(envs, ids, actions) for name, actions in rows.items()}
    with capsys.disabled():
        for name, values in found.items():
            print(f"\n{name}: {bootstrap(values).percent()} %", end="")
    nothing, passage, texts = (np.array(values) for values in found.values())
    assert (bootstrap((texts - nothing).tolist()).low or 0) > 0
    assert texts.mean() > passage.mean() >= nothing.mean()
