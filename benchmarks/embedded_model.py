"""What the embedded model can do: `python benchmarks/embedded_model.py [--json FILE] [--subsets ...] [--edits K]`.

For each task: the base model's accuracy, and the accuracy after each of K random self-edits. Reported per task set: no
update, mean over random self-edits, best of K, each with a 95 % bootstrap interval over tasks. Finished tasks are kept in
the JSON file, so that a benchmark that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

import seal_env
from seal_env.agents.registry import AgentSettings, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.records import package_versions

SUBSETS = ("mini-eval", "seal-train", "seal-eval")


def measure_task(env: gymnasium.Env[str, str], task_id: str, edits: int, seed: int) -> dict[str, Any]:
    """Accuracies of one task: before, and after each of `edits` random self-edits drawn for this task."""
    agent = make_agent("random", AgentSettings(env.action_space, seed=seed))
    began = time.perf_counter()
    trajectories = [run_episode(env, agent, task_id, seed) for _ in range(edits)]
    return {
        "task": task_id,
        "before": trajectories[0].info["accuracy_before"],
        "after": [t.info["accuracy_after"] or 0.0 for t in trajectories],
        "cells_after": [t.info["cell_accuracy_after"] or 0.0 for t in trajectories],
        "self_edits": [t.info["self_edit"] for t in trajectories],
        "steps": [t.info["optimizer_steps"] for t in trajectories],
        "outcomes": [t.info["outcome"] for t in trajectories],
        "seconds": round(time.perf_counter() - began, 2),
    }


def interval(values: np.ndarray[Any, Any], draws: int = 2000) -> str:
    """Mean in per cent with its 95 % bootstrap interval over tasks."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * values.mean():.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of the table for one task set; accuracy is the share of test inputs solved."""
    before = np.array([row["before"] for row in rows])
    after = np.array([row["after"] for row in rows])
    steps, seconds = sum(sum(row["steps"]) for row in rows), sum(row["seconds"] for row in rows)
    return {
        "tasks": str(len(rows)),
        "no update": interval(before),
        "random self-edit": interval(after.mean(axis=1)),
        f"best of {after.shape[1]}": interval(after.max(axis=1)),
        "solved by the best": f"{int((after.max(axis=1) == 1).sum())} of {len(rows)}",
        "steps an edit": f"{steps / after.size:.0f}",
        "seconds an edit": f"{seconds / after.size:.1f}",
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("runs/embedded-model.json"))
    parser.add_argument("--subsets", nargs="+", default=list(SUBSETS))
    parser.add_argument("--edits", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="seal-tiny")
    arguments = parser.parse_args()
    if arguments.json.exists():
        document = json.loads(arguments.json.read_text())
    else:
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        document = {"machine": machine, "versions": package_versions(), "model": arguments.model, "rows": {}}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    for subset in arguments.subsets:
        env = gymnasium.make("SEAL-ARC-v0", subset=subset, model=arguments.model, max_turns=1)
        rows = document["rows"].setdefault(f"{subset} K={arguments.edits}", [])
        done = {row["task"] for row in rows}
        for index, task_id in enumerate(env.unwrapped.taskset.task_ids):  # type: ignore[attr-defined]
            if task_id not in done:
                rows.append(measure_task(env, task_id, arguments.edits, arguments.seed + index))
                arguments.json.write_text(json.dumps(document, indent=1))
                console.print(f"{subset} {len(rows)}: {rows[-1]['before']} -> {rows[-1]['after']}", highlight=False)
    columns = {name: summarise(rows) for name, rows in document["rows"].items() if rows}
    table = Table("", *columns, title=f"accuracy in per cent, {seal_env.__version__}")
    for line in next(iter(columns.values())):
        table.add_row(line, *(column.get(line, "-") for column in columns.values()))
    console.print(table)
    document["summary"] = columns
    arguments.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
