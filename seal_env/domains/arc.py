"""ARC: few-shot puzzles on grids (SEAL, arXiv 2506.10943, section 3.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.models.catalog import MODEL_NAME
from seal_env.tasks.arc.content import content, parts
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import TASKSETS, load_taskset
from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.arc.validate import validate
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tools.arc.augment import AUGMENT
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.types import Taskset

TOOLS: Final = (AUGMENT, TRAINING, FINETUNE)


class ArcOptions(DomainOptions):
    """Settings of ARC."""

    evaluation: Literal["greedy", "vote"] = "greedy"
    """How test inputs are answered: greedy (one attempt, all demonstrations in the prompt) or vote (as SEAL does: many
    prompts, two attempts)."""
    grid_format: Literal["plain", "lettered"] = "plain"
    """How grids are written: plain or lettered (each row begins with its letter); the default is the model's own."""
    max_prompt_cells: int | None = Field(None, ge=0)
    """Most cells of grids that the agent's prompt shows: a demonstration that would go beyond is described by its sizes
    alone; None is no limit. For policies whose context, or training, ends at short prompts."""
    bad_tasks: BadTasks = "error"
    """Malformed tasks of a folder or a file: error (a message names them) or skip (they are left out, and a warning lists
    them)."""

    @property
    def needs_text(self) -> bool:
        """A vote counts wrong answers too."""
        return self.evaluation == "vote"


def _make(options: ArcOptions, caches: Path | None) -> ArcDomain:
    return ArcDomain(options.grid_format, options.evaluation, max_prompt_cells=options.max_prompt_cells)


def self_edit(basic: bool, learning_rate: float, epochs: int) -> str:
    """A self-edit that trains on output tokens, as JSON. basic: whether grids are transformed by symmetries."""
    switches = {f"use_{kind}_augmentations": basic and kind == "basic" for kind in ("basic", "size", "chain", "repeat")}
    training = {"strategy": "train_using_output_tokens", "learning_rate": learning_rate, "num_train_epochs": epochs}
    calls = {"augment": switches, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


def _columns(task: ArcTask) -> Mapping[str, str]:
    grids = [grid for pair in (*task.context, *task.queries) for grid in pair]
    rows, columns = max(((len(grid), len(grid[0])) for grid in grids), key=lambda size: size[0] * size[1])
    return {
        "demonstrations": str(len(task.context)),
        "test inputs": str(len(task.queries)),
        "largest grid": f"{rows}x{columns}",
    }


def _validate(taskset: Taskset[Any, Any], free_answers: bool) -> Mapping[str, Sequence[str]]:
    return {task.task_id: problems for task in taskset if (problems := validate(task))}


ARC: Final = DomainSpec(
    name="arc",
    summary="few-shot puzzles on grids",
    tools=TOOLS,
    options=ArcOptions,
    load=lambda subset, options: load_taskset(subset, options.bad_tasks),
    make=_make,
    environments={"SEAL-ARC-v0": {}, "SEAL-ARC-Mini-v0": {"subset": "mini-train"}},
    tasksets=TASKSETS,
    train_set="seal-train",
    held_out="seal-eval",
    partial_metric="cell_accuracy",
    default_self_edit=self_edit(basic=True, learning_rate=3e-4, epochs=2),
    no_update=self_edit(basic=False, learning_rate=1e-4, epochs=0),
    columns=_columns,
    validate=_validate,
    content=content,
    parts=parts,
    defaults={"model": MODEL_NAME, "subset": "seal-train"},
    profiles=("fixed", "paper"),
)
