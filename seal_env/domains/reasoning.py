"""Reasoning: few-shot adaptation on the procedural tasks of reasoning-gym, scored by its own verifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from seal_env.domains.base import DomainSpec
from seal_env.domains.pairs import DEFAULT_SELF_EDIT, DEFAULTS, NO_UPDATE, RECIPE, TOOLS, PairsOptions, columns, validate
from seal_env.tasks.pairs.content import content, parts
from seal_env.tasks.pairs.domain import PairsDomain
from seal_env.tasks.reasoning.generators import score_answers
from seal_env.tasks.reasoning.loader import TASKSETS, load_reasoning
from seal_env.tasks.text_metrics import TEXT_METRICS
from seal_env.types import Taskset


class ReasoningOptions(PairsOptions):
    """Settings of reasoning tasks."""

    num_examples: int = Field(8, ge=1, le=64)
    """Solved examples of a task."""
    num_queries: int = Field(4, ge=1, le=64)
    """Queries of a task."""

    @property
    def graded_by(self) -> str:
        """The generator's own verifier."""
        return "verifier"


def _load(subset: str, options: ReasoningOptions) -> Taskset[Any, Any]:
    return load_reasoning(subset, options.num_examples, options.num_queries)


def _make(options: ReasoningOptions, caches: Path | None) -> PairsDomain:
    return options.domain(score_answers)


def _validate(taskset: Taskset[Any, Any], free_answers: bool) -> Mapping[str, Sequence[str]]:
    return validate(taskset, PairsDomain(score_answers))


REASONING: Final = DomainSpec(
    name="reasoning",
    summary="procedural problems of reasoning-gym, a few of them solved",
    tools=TOOLS,
    options=ReasoningOptions,
    load=_load,
    make=_make,
    environments={"SEAL-Reasoning-v0": {}},
    tasksets=TASKSETS,
    train_set="chain_sum",
    held_out="chain_sum-eval",
    partial_metric="verifier_score",
    default_self_edit=DEFAULT_SELF_EDIT,
    no_update=NO_UPDATE,
    columns=columns,
    validate=_validate,
    content=content,
    parts=parts,
    defaults={**DEFAULTS, "subset": "chain_sum"},
    recipe=RECIPE,
    reads_plain_text=True,
    metrics=TEXT_METRICS,
)
