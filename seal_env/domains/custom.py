"""Custom: tasks of one's own, in a file of JSON lines (see `seal_env.tasks.custom.files`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from seal_env.domains.base import DomainSpec
from seal_env.domains.pairs import DEFAULT_SELF_EDIT, DEFAULTS, NO_UPDATE, RECIPE, TOOLS, PairsOptions, columns, validate
from seal_env.serving.address import AddressText
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.base import OWN, TasksetEntry
from seal_env.tasks.custom.loader import EXAMPLE, TASKSETS, load_custom
from seal_env.tasks.custom.metrics import Metric, MetricScorer
from seal_env.tasks.knowledge.grading.registry import asks_server, name_of
from seal_env.tasks.pairs.content import content, parts
from seal_env.tasks.pairs.domain import PairsDomain
from seal_env.tasks.text_metrics import TEXT_METRICS
from seal_env.types import Taskset


class CustomOptions(PairsOptions):
    """Settings of tasks of one's own."""

    metric: str | Metric = "exact_match"
    """What decides on answers, unless a task names its own: a registered grader, or a callable (input, gold, answer) ->
    score in [0, 1] or bool."""
    grader_model: str | None = None
    """The judge's name at its server, for metric='judge'; None is the only model that it serves."""
    grader_url: AddressText | None = None
    """Address of the judge's server; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1."""
    bad_tasks: BadTasks = "error"
    """Malformed lines of a file: error (a message names them) or skip (they are left out, and a warning lists them)."""

    @property
    def graded_by(self) -> str:
        """The metric's name, or where its function is."""
        return name_of(self.metric)

    @property
    def asks_judge(self) -> bool:
        """Whether the metric is behind a server."""
        return asks_server(self.metric)


def _make(options: CustomOptions, caches: Path | None) -> PairsDomain:
    return options.domain(MetricScorer(options.metric, options.grader_model, options.grader_url, caches))


def _validate(taskset: Taskset[Any, Any], free_answers: bool) -> Mapping[str, Sequence[str]]:
    return validate(taskset, PairsDomain(MetricScorer("exact_match")))


CUSTOM: Final = DomainSpec(
    name="custom",
    summary="tasks of your own, from a file of JSON lines",
    tools=TOOLS,
    options=CustomOptions,
    load=lambda subset, options: load_custom(subset, bad_tasks=options.bad_tasks),
    make=_make,
    environments={"SEAL-Custom-v0": {}},
    tasksets={
        EXAMPLE: TasksetEntry(
            "three small tasks that show the file's form", lambda count: load_custom(EXAMPLE, count), origin=OWN
        ),
        **TASKSETS,
    },
    train_set=EXAMPLE,
    held_out=EXAMPLE,
    partial_metric="mean_score",
    default_self_edit=DEFAULT_SELF_EDIT,
    no_update=NO_UPDATE,
    columns=columns,
    validate=_validate,
    content=content,
    parts=parts,
    defaults={**DEFAULTS, "subset": EXAMPLE},
    recipe=RECIPE,
    reads_plain_text=True,
    metrics=TEXT_METRICS,
    grading="metric",
)
