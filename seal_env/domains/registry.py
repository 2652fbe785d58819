"""The kinds of task: which domain the settings ask for, and its task sets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from seal_env.domains import arc, knowledge
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.store import cache_path
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.registry import make_grader
from seal_env.tasks.knowledge.groups import GroupedTaskset
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tools.base import Tool
from seal_env.types import TaskDomain, Taskset

VERDICTS = "verdicts.sqlite"
"""Where a judge's verdicts are kept, beside the results of updates."""
TOOLS: Mapping[str, tuple[Tool[Any], ...]] = MappingProxyType({"arc": arc.TOOLS, "knowledge": knowledge.TOOLS})


def domain_tools(name: str) -> tuple[Tool[Any], ...]:
    """The tools of a domain's self-edits, in the order in which the prompt explains them; finetune is the last.

    Raises SettingError for an unknown domain.
    """
    if name not in TOOLS:
        raise SettingError("domain", name, " or ".join(map(repr, TOOLS)))
    return TOOLS[name]


def load_tasks(settings: Settings) -> Taskset[Any, Any]:
    """The task set that the settings name. Raises UnknownTaskError, TaskError or SettingError."""
    if settings.domain == "arc":
        return load_taskset(settings.subset)
    return GroupedTaskset(load_passages(settings.subset), settings.passages)


def make_domain(settings: Settings) -> TaskDomain:
    """How its tasks are worded and scored. Raises SettingError, ModelError for a grader whose model does not load."""
    if settings.domain == "arc":
        return ArcDomain(str(settings.grid_format), settings.evaluation)
    results = cache_path(settings.cache_file) if settings.cache == "on" else None
    verdicts = None if results is None or settings.grader != "judge" else results.with_name(VERDICTS)
    grader = make_grader(settings.grader, settings.grader_model, settings.grader_url, verdicts)
    return KnowledgeDomain(grader, settings.learn_passage == "on")
