"""`seal-env compare`: two run folders side by side, with differences that are paired by task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from seal_env.agents.evaluation import EvalSample, by_task
from seal_env.experiments.results import Results, read_results
from seal_env.experiments.run_folder import DECIDING, MAY_MOVE, Tables
from seal_env.intervals import bootstrap

MEASURES: Final[Mapping[str, Callable[[EvalSample], float]]] = {
    "accuracy_before": lambda sample: sample.accuracy_before,
    "accuracy": lambda sample: sample.accuracy,
    "solved": lambda sample: float(sample.solved),
    "valid": lambda sample: float(sample.outcome == "ok"),
    "reward": lambda sample: sample.reward,
}
COSTS: Final[Mapping[str, Callable[[EvalSample], float]]] = {
    "steps": lambda sample: float(sample.steps),
    "tokens": lambda sample: float(sample.tokens),
    "seconds": lambda sample: sample.seconds,
}
UNNAMED: Final = {"command": "run"}
"""What settings.toml leaves out."""
OF_RUN: Final = "environment"
"""The id, which `run` alone records: what other commands use of it is in their settings, such as the domain."""
Means = Mapping[str, float]
"""By task."""


def compare(one: Path, other: Path) -> dict[str, Any]:
    """Compare what two runs came to.

    Args:
        one: Folder of `run`, `eval` or `train`; of the last, the trained policy on held-out tasks.
        other: Likewise.

    Returns:
        `runs`, each with its folder, label, tasks, samples and infrastructure failures; `tasks`, how many both have, and
        each alone; `same_seeds`, whether episodes began alike; `settings` that differ, with both values; `measures`, by
        name the means over tasks of each run, and of the differences other - one over the tasks of both, with 95 %
        bootstrap intervals; None where there is nothing to measure.

    Raises:
        RunFolderError, SettingError: For folders without episodes that can be read.
    """
    return compare_results(read_results(one), read_results(other))


def compare_results(one: Results, other: Results) -> dict[str, Any]:
    """`compare` of runs that are read already."""
    both = [one, other]
    tasks = [by_task(results.final) for results in both]
    shared = [task for task in tasks[0] if task in tasks[1]]
    names = dict.fromkeys(name for results in both for sample in results.final for name in sample.metrics)
    measures = {**MEASURES, **{name: _metric(name) for name in names}, **COSTS}
    return {
        "runs": [_about(results) for results in both],
        "tasks": {"both": len(shared), "first": len(tasks[0]) - len(shared), "second": len(tasks[1]) - len(shared)},
        "same_seeds": _seeds(both[0]) == _seeds(both[1]),
        "settings": different_settings(both[0], both[1]),
        "measures": {
            name: _measured([means_by_task(each, measure) for each in tasks]) for name, measure in measures.items()
        },
    }


def _metric(name: str) -> Callable[[EvalSample], float]:
    return lambda sample: sample.metrics.get(name, math.nan)


def _about(results: Results) -> dict[str, Any]:
    samples = results.final
    failed = sum(sample.failed for sample in samples)
    counts = {"tasks": len(by_task(samples)), "samples": len(samples), "failed": failed}
    return {"folder": str(results.folder), "label": results.label, **counts}


def _seeds(results: Results) -> tuple[Any, ...]:
    """What decides on the seeds of the episodes."""
    return tuple(results.tables["run"].get(name) for name in ("command", "seed", "samples", "eval_samples"))


def means_by_task(samples: Mapping[str, Sequence[EvalSample]], measure: Callable[[EvalSample], float]) -> Means:
    """The mean of a measure for each task on which it is known."""
    known = {task: [value for each in mine if not math.isnan(value := measure(each))] for task, mine in samples.items()}
    return {task: float(np.mean(values)) for task, values in known.items() if values}


def _measured(means: Sequence[Means]) -> dict[str, Any]:
    first, second = means
    differences = [second[task] - first[task] for task in first if task in second]
    columns = {"first": list(first.values()), "second": list(second.values()), "difference": differences}
    return {name: bootstrap(values)._asdict() if values else None for name, values in columns.items()}


def different_settings(one: Results, other: Results) -> dict[str, list[Any]]:
    """The settings of two runs that differ, by name, with both values; None where one has no such setting."""
    return settings_that_differ([one.tables, other.tables])


def settings_that_differ(runs: Sequence[Tables]) -> dict[str, list[Any]]:
    """The settings in which any of several runs differ, by name, with the value of each; None where one has none."""
    found: dict[str, list[Any]] = {}
    for table in DECIDING:
        tables = [{**(UNNAMED if table == "run" else {}), **each.get(table, {})} for each in runs]
        for name in dict.fromkeys(name for each in tables for name in each):
            values = [each.get(name) for each in tables]
            if table == "run" and name == OF_RUN and None in values:
                continue
            if name not in MAY_MOVE and any(value != values[0] for value in values):
                found.setdefault(name, values)
    return found
