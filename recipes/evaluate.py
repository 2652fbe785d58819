"""What a trained model gains by updates: `python -m recipes.evaluate --model DIR [--tasks N] [--edits K]`.

Held-out `mini` tasks, K random self-edits each, with the settings of seal-tiny: accuracy before, after one of them (mean),
and after the best. A first look; the tables of the model's card are `benchmarks.bundled_model`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import seal_env  # noqa: F401  # registers the environments
from seal_env.intervals import bootstrap
from seal_env.models.catalog import MODEL_DEFAULTS, MODEL_NAME


def measure(model: str, tasks: int, edits: int) -> dict[str, Any]:
    """Accuracies with 95 % bootstrap intervals over tasks; all updates in one call."""
    subset = f"mini-eval:{tasks}"
    given = {**MODEL_DEFAULTS[MODEL_NAME], "subset": subset, "model": model, "max_turns": 1, "decode": "never"}
    envs: Any = gymnasium.make_vec("SEAL-ARC-v0", num_envs=tasks * edits, **given)
    task_ids = [task_id for task_id in envs.get_attr("taskset")[0].task_ids for _ in range(edits)]
    envs.reset(seed=0, options={"task_ids": task_ids})
    envs.single_action_space.seed(0)
    infos = envs.step(tuple(envs.single_action_space.sample() for _ in task_ids))[4]
    before, after = (
        np.nan_to_num(np.asarray(infos[name], dtype=np.float64)).reshape(tasks, edits)
        for name in ("accuracy_before", "accuracy_after")
    )
    found = {"before": before[:, 0], "random_self_edit": after.mean(1), "best": after.max(1)}
    return {name: bootstrap(each.tolist())._asdict() for name, each in found.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a folder, or seal-tiny")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--edits", type=int, default=8, help="random self-edits a task")
    parser.add_argument("--json", type=Path, help="where the figures go, too")
    given = parser.parse_args()
    found = {"model": given.model, "tasks": given.tasks, "edits": given.edits}
    found |= measure(given.model, given.tasks, given.edits)
    print(json.dumps(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
