"""What a domain is: everything about one kind of task that another kind has otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from seal_env.options import Options
from seal_env.tasks.content import Parts
from seal_env.tasks.content import content as any_content
from seal_env.tasks.content import parts as any_parts
from seal_env.tools.base import Tool
from seal_env.types import Evaluation, Task, TaskDomain, Taskset


class DomainOptions(Options):
    """Base of the settings that one domain has beside the shared ones."""

    @property
    def segments(self) -> int:
        """Segments of a task, each of which has a budget of its own."""
        return 1

    @property
    def needs_text(self) -> bool:
        """Whether scores depend on the text of answers that are not exactly right."""
        return True

    @property
    def graded_by(self) -> str:
        """Name of what decides whether an answer is right."""
        return "exact_match"

    @property
    def asks_judge(self) -> bool:
        """Whether a server decides whether an answer is right."""
        return False


@runtime_checkable
class ScoresPredictions(Protocol):
    """A `TaskDomain` whose scores are a pure function of predictions, so that stored episodes can be scored again."""

    def score_predictions(self, task: Task[Any, Any], predictions_Q: Sequence[Any]) -> Evaluation:
        """Score the attempts at each query, as `Evaluation.predictions_Q` has them.

        Raises:
            GraderError: If whether an answer is right cannot be found out.
        """
        ...


@dataclass(frozen=True)
class DomainSpec:
    """One kind of task: its task sets, its tools, and how its tasks are rendered and scored.

    Adding a domain is a folder below `tasks/`, a module like `seal_env.domains.arc` and a line in the registry; from another
    package, `seal_env.register_domain` or an entry point in the group `seal_env.domains`.

    Args:
        name: The value of the setting `domain`.
        summary: One line for help texts.
        tools: Tools of its self-edits, in the order in which the prompt explains them; `finetune` is the last.
        options: Its own settings.
        load: (subset, options) -> task set. Raises UnknownTaskError, TaskError or SettingError.
        make: (options, directory of caches or None) -> how its tasks are rendered and scored. Raises SettingError.
        environments: Gymnasium ids and their settings that are not the domain's defaults.
        tasksets: Task sets by name: what `load` accepts beside paths and ids.
        train_set: Task set to learn from by default.
        held_out: Task set to measure on by default.
        partial_metric: Name of `Evaluation.partial`, which is a reward too.
        default_self_edit: The self-edit of the agent `fixed`, as JSON.
        no_update: A self-edit that leaves the base model as it is, as JSON.
        columns: What a list of tasks shows of each, by heading.
        validate: (task set, whether answers need not be parts of the context) -> problems by task id, found without a model.
        defaults: Shared settings that have another default here.
        recipe: Fields of `Recipe` that have another value here.
        profiles: Legal values of the setting `profile`.
        reads_plain_text: Whether plain text is an action too, one document a line.
        content: Digests of what a task is, whatever its id: two tasks that share one are the same task.
        parts: Digests of its single pieces: a task that asks about a piece of another is not the same, but easier after it.
        subset_defaults: subset -> the settings that have another default for this task set.
        metrics: Names of `Evaluation.metrics`, which tables show beside accuracy, and what each counts in a mean for a
            self-edit that was a mistake; nan is nothing.
        grading: Name of the option that chooses what decides whether an answer is right; empty if nothing is to choose.
    """

    name: str
    summary: str
    tools: tuple[Tool[Any], ...]
    options: type[DomainOptions]
    load: Callable[[str, Any], Taskset[Any, Any]]
    make: Callable[[Any, Path | None], TaskDomain]
    environments: Mapping[str, Mapping[str, Any]]
    tasksets: Mapping[str, Any]
    train_set: str
    held_out: str
    partial_metric: str
    default_self_edit: str
    no_update: str
    columns: Callable[[Task[Any, Any]], Mapping[str, str]]
    validate: Callable[[Taskset[Any, Any], bool], Mapping[str, Sequence[str]]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    profiles: tuple[str, ...] = ("fixed",)
    reads_plain_text: bool = False
    content: Callable[[Task[Any, Any]], Sequence[str]] = any_content
    parts: Callable[[Task[Any, Any]], Parts] = any_parts
    subset_defaults: Callable[[str], Mapping[str, Any]] = lambda subset: {}
    metrics: Mapping[str, float] = field(default_factory=dict)
    grading: str = ""
