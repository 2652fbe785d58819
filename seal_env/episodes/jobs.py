"""Update jobs: what the inner loop is given for a self-edit, and for the base model's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from seal_env.episodes.runtime import Runtime
from seal_env.types import Query, SelfEdit, Task, TrainingConfig, UpdateJob

NO_UPDATE: Final = SelfEdit((), TrainingConfig(), optimizer_steps=0, tokens=0, candidates=0)
"""The self-edit that leaves the base model as it is."""


def update_job(
    runtime: Runtime,
    task: Task[Any, Any],
    seed: int,
    edit: SelfEdit,
    save_to: Path | None = None,
    queries_Q: Sequence[Query] | None = None,
) -> UpdateJob:
    """The job of a self-edit.

    Args:
        runtime: Of the episode.
        task: Whose queries are answered afterwards.
        seed: Of the adapter's initial weights and of the order of the examples, in [0, 2**63).
        edit: What to train on; `NO_UPDATE` for the base model's answers.
        save_to: Directory for the adapter, or for the whole model.
        queries_Q: What is asked afterwards; None is the task's queries.
    """
    settings = runtime.settings
    return UpdateJob(
        examples_E=edit.examples_E,
        training=edit.training,
        lora=replace(settings.lora, **edit.lora),
        recipe=replace(settings.recipe, **edit.recipe),
        seed=seed,
        queries_Q=runtime.domain.queries(task, seed) if queries_Q is None else tuple(queries_Q),
        decode=settings.decode == "failed",
        save_to=save_to,
        method=settings.method,
    )
