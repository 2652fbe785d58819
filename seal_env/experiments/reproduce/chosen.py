"""Rows that choose before they are measured: the best of several self-edits for a passage, the best template for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from rich.console import Console

from seal_env.agents.evaluation import EvalSample, by_task, read_samples
from seal_env.errors import UpdateError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import evaluate
from seal_env.experiments.settings import EvalSettings
from seal_env.journal import Journal, write_whole
from seal_env.report.formats import plural
from seal_env.types import Task

FRESH: Final = 10_000
"""What is added to a seed for one that has chosen nothing."""


def best_of(agent: str, settings: EvalSettings, config: ExperimentConfig, console: Console) -> list[EvalSample]:
    """Measure the best of several self-edits for each passage again, with a fresh seed of the update.

    Args:
        agent: Who writes the self-edits.
        settings: How many, and the seed.
        config: The passages and the agent's options; in its folder, `sampled` and `fresh` become run folders.
        console: Where progress is shown.
    """
    sampled = _measure(agent, settings, replace(config, out=config.out / "sampled"), console)
    found = {task: max(mine, key=lambda sample: sample.reward).action for task, mine in by_task(sampled).items()}
    tasks = config.runtime().taskset
    chosen = config.out / "chosen.jsonl"
    write_whole(chosen, "\n".join(_published(tasks[task], action) for task, action in found.items() if action.strip()))
    again = settings.model_copy(update={"samples": 1, "seed": settings.seed + FRESH})
    replayed = replace(config, out=config.out / "fresh", options={"replay_file": str(chosen)})
    return _measure("replay", again, replayed, console)


def best_template(
    agent: str,
    templates: Mapping[str, Mapping[str, Any]],
    train_set: str,
    settings: EvalSettings,
    config: ExperimentConfig,
    console: Console,
) -> dict[str, Any]:
    """Options of an agent, of which those are chosen that have the highest mean reward on training tasks.

    Args:
        agent: The agent.
        templates: Its options, by name.
        train_set: The training tasks.
        settings: Self-edits for each of them, and the seed.
        config: The environment; in its folder, each template has a run folder, and templates.json the mean rewards.
        console: Where progress is shown.

    Raises:
        UpdateError: If infrastructure failures leave no task on which every template was measured.
    """
    measured: dict[str, dict[str, list[EvalSample]]] = {}
    for name, options in templates.items():
        overrides = {**config.overrides, "subset": train_set}
        part = replace(config, overrides=overrides, options=options, out=config.out / "templates" / name)
        measured[name] = by_task(_measure(agent, settings, part, console))
    rewards = shared_means(measured)
    chosen = max(rewards, key=rewards.__getitem__)
    write_whole(config.out / "templates.json", json.dumps({"chosen": chosen, "rewards": rewards}, indent=1))
    return dict(templates[chosen])


def shared_means(measured: Mapping[str, Mapping[str, Sequence[EvalSample]]]) -> dict[str, float]:
    """Mean reward by template, over the tasks that all of them were measured on. Raises UpdateError if there is none."""
    shared = set.intersection(*(set(tasks) for tasks in measured.values()))
    if not shared:
        counts = ", ".join(f"{name} on {plural(len(tasks), 'task')}" for name, tasks in measured.items())
        raise UpdateError(f"no task was measured with every template ({counts}): rerun the command to try what failed again")
    return {
        name: float(np.mean([np.mean([sample.reward for sample in tasks[task]]) for task in sorted(shared)]))
        for name, tasks in measured.items()
    }


def _published(task: Task[Any, Any], action: str) -> str:
    """A passage with its self-edit, as the agent `replay` reads them."""
    questions = [{"question": each.question, "answer": each.answer} for each in task.queries]
    title, text = task.context.title, task.context.text
    return json.dumps({"title": title, "context": text, "questions": questions, "self_edit": action})


def _measure(agent: str, settings: EvalSettings, config: ExperimentConfig, console: Console) -> list[EvalSample]:
    evaluate(agent, settings, config, console)
    return read_samples(Journal(config.out / "samples.jsonl"))
