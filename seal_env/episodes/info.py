"""What `info` holds: the task and the budget as data, and at the end what came of the self-edit.

Nothing in it differs between equal runs: no clocks, no paths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from seal_env.episodes.runtime import Runtime
from seal_env.types import Evaluation, SelfEdit, Task, ToolCall, UpdateResult


def task_info(runtime: Runtime, segment: Any, text: str) -> dict[str, Any]:
    """The segment of the task that the agent writes about: its domain, `text` as in the prompt, and data. New each time."""
    return {"domain": runtime.spec.name, "text": text, "data": runtime.domain.as_data(segment)}


def budget_info(runtime: Runtime) -> dict[str, Any]:
    """What a self-edit may cost, over all segments, and what holds where it says nothing."""
    settings, budget = runtime.settings, runtime.budget
    return {
        "max_steps": budget.max_steps,
        "max_examples": budget.max_examples,
        "max_tokens": budget.max_tokens,
        "max_training_tokens": budget.max_training_tokens,
        "batch_size": settings.recipe.batch_size,
        "max_turns": settings.max_turns,
        "default_learning_rate": settings.default_learning_rate,
        "default_num_epochs": settings.default_num_epochs,
        **({"max_rehearsed": settings.max_rehearsed} if settings.max_rehearsed else {}),
    }


def update_info(
    runtime: Runtime,
    task: Task[Any, Any],
    calls: Sequence[ToolCall],
    edit: SelfEdit | None,
    result: UpdateResult | None,
    evaluations: Mapping[str, Evaluation | None],
) -> dict[str, Any]:
    """What came of a self-edit.

    Args:
        runtime: Of the episode.
        task: The episode's task, whose gold answers are in the info too.
        calls: The self-edit as understood.
        edit: What was trained; None if nothing could be.
        result: What came of the update; None if there was none.
        evaluations: By "before" and "after" the update; None where there is none.
    """
    decoded, partial = runtime.settings.decode == "failed", runtime.spec.partial_metric
    info: dict[str, Any] = {
        "grader": runtime.settings.options.graded_by,
        "self_edit": [{"name": call.name, "arguments": dict(call.arguments)} for call in calls],
        "examples": len(edit.examples_E) if edit else 0,
        "optimizer_steps": edit.optimizer_steps if edit else 0,
        "tokens": edit.tokens if edit else 0,
        "training_tokens": edit.training_tokens if edit else 0,
        "adapted": _adapted(runtime, edit),
        "not_adapted": dict(runtime.adapted.missing),
        "losses": [loss if math.isfinite(loss) else None for loss in result.losses_S] if result else [],
    }
    for when, evaluation in evaluations.items():
        info[f"accuracy_{when}"] = evaluation.accuracy if evaluation else None
        info[f"{partial}_{when}"] = evaluation.partial if evaluation and decoded else None
        info |= {f"{name}_{when}": evaluation.metrics.get(name) if evaluation else None for name in runtime.spec.metrics}
        info[f"predictions_{when}"] = as_lists(evaluation.predictions_Q) if evaluation else None
        info[f"correct_{when}"] = list(evaluation.correct_Q) if evaluation else None
    return info | {"gold": gold_lists(runtime, task)}


def _adapted(runtime: Runtime, edit: SelfEdit | None) -> dict[str, int]:
    """Layers that the update changes, by name: a self-edit may choose some of the environment's."""
    counts = runtime.adapted.counts
    chosen = edit.lora.get("target_modules") if edit else None
    return {name: count for name, count in counts.items() if chosen is None or name in chosen}


def gold_lists(runtime: Runtime, task: Task[Any, Any]) -> list[Any]:
    """The gold answer to each query of a task, as lists where it is made of tuples."""
    return [as_lists(answer) for answer in runtime.domain.gold(task)]


def as_lists(value: Any) -> Any:
    """The value with lists in place of tuples, as JSON has it."""
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value
