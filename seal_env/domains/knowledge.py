"""Knowledge: passages that the model learns, and questions about them without the passage (SEAL, section 3.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, model_validator

from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.serving.address import AddressText
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.knowledge.content import content, parts
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.registry import (
    VERDICTS,
    GradeFunction,
    asks_server,
    check_grader,
    make_grader,
    name_of,
)
from seal_env.tasks.knowledge.groups import GroupedTaskset
from seal_env.tasks.knowledge.loader import HUB_TASKSETS, TASKSETS, is_synthetic, load_passages
from seal_env.tasks.knowledge.passage import Passage, Question, published
from seal_env.tasks.knowledge.validate import validate_all
from seal_env.tasks.text_metrics import TEXT_METRICS
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.relations import RELATIONS
from seal_env.tools.text.rewrite import REWRITE
from seal_env.tools.text.self_qa import SELF_QA
from seal_env.types import Task, Taskset

TOOLS: Final = (IMPLICATIONS, REWRITE, SELF_QA, RELATIONS, TRAINING, FINETUNE)


class KnowledgeOptions(DomainOptions):
    """Settings of knowledge incorporation."""

    passages: int = Field(1, ge=1)
    """Passages of an episode, all learned in one update; the agent writes about one after the other."""
    learn_passage: bool = True
    """Whether the passage itself is a training document beside those of the self-edit."""
    grader: str | GradeFunction = "lexical"
    """How answers are graded: exact_match, lexical (words, numbers and dates), judge (a language model behind an
    OpenAI-compatible server), a name given to `register_grader`, or a function (question, gold, prediction) -> bool. The
    default is exact_match for synthetic passages and lexical for others."""
    grader_model: str | None = None
    """The judge's name at its server; None is the only model that it serves."""
    grader_url: AddressText | None = None
    """Address of the judge's server; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1."""
    bad_tasks: BadTasks = "error"
    """Malformed passages of a file: error (a message names them) or skip (they are left out, and a warning lists them)."""

    @property
    def segments(self) -> int:
        """One for each passage."""
        return self.passages

    @property
    def graded_by(self) -> str:
        """The grader's name, or where its function is."""
        return name_of(self.grader)

    @property
    def asks_judge(self) -> bool:
        """Whether the grader is behind a server."""
        return asks_server(self.grader)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_grader(self.grader, self.grader_model, self.grader_url)
        return self


def _load(subset: str, options: KnowledgeOptions) -> GroupedTaskset:
    return GroupedTaskset(load_passages(subset, options.bad_tasks), options.passages)


def _make(options: KnowledgeOptions, caches: Path | None) -> KnowledgeDomain:
    verdicts = None if caches is None else caches / VERDICTS
    grader = make_grader(options.grader, options.grader_model, options.grader_url, verdicts)
    return KnowledgeDomain(grader, options.learn_passage)


def _no_update() -> str:
    """No epochs. The text is for environments that do not learn the passage, where no text at all would be a mistake."""
    training = {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": 0}
    calls = {"implications": {"texts": ["None."]}, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


def _columns(task: Task[Passage | tuple[Passage, ...], Question]) -> Mapping[str, str]:
    passages = task.context if isinstance(task.context, tuple) else (task.context,)
    return {
        "words": str(sum(len(passage.text.split()) for passage in passages)),
        "questions": str(len(task.queries)),
        "self-edits": str(len(published(task))),
        "title": ", ".join(passage.title for passage in passages),
    }


def _subset_defaults(subset: str) -> Mapping[str, Any]:
    return {"grader": "exact_match"} if is_synthetic(subset) else {}


def _validate(taskset: Taskset[Any, Any], free_answers: bool) -> Mapping[str, Sequence[str]]:
    return validate_all(taskset, spans=not free_answers)


KNOWLEDGE: Final = DomainSpec(
    name="knowledge",
    summary="passages to learn, and questions about them without the passage",
    tools=TOOLS,
    options=KnowledgeOptions,
    load=_load,
    make=_make,
    environments={"SEAL-Knowledge-v0": {}, "SEAL-Continual-v0": {"sequence": 8}},
    tasksets={**TASKSETS, **HUB_TASKSETS},
    train_set="synthetic-train",
    held_out="synthetic-eval",
    partial_metric="word_f1",
    default_self_edit=json.dumps([{"name": "finetune", "arguments": {}}]),
    no_update=_no_update(),
    columns=_columns,
    validate=_validate,
    content=content,
    parts=parts,
    defaults={
        "model": TEXT_MODEL_NAME,
        "subset": "synthetic-train",
        "max_tokens": 2048,
        "max_steps": 1000,
        "lora_rank": 32,
        "lora_alpha": 64.0,
        "batch_size": 1,
        "default_learning_rate": 1e-3,
        "default_num_epochs": 10,
        "schedule": "linear",
    },
    recipe={"warmup_steps": 0},
    reads_plain_text=True,
    subset_defaults=_subset_defaults,
    metrics=TEXT_METRICS,
    grading="grader",
)
