"""Suites as data: a JSON file beside this module for each version, which never changes once it is released."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from seal_env.errors import SettingError, TaskError
from seal_env.settings import Settings
from seal_env.types import Task, TaskDomain

HERE: Final = Path(__file__).parent
DIGESTS: Final[Mapping[str, str]] = MappingProxyType(
    {"v1": "74285f8123ebbfca67439f3ce0a203d9c605b5f3a09c57afeca5ac176cbdacbf"}
)
"""SHA-256 of each suite; what is released is never edited: other tasks or settings are another version."""
MACHINE: Final = frozenset(
    ("device", "inner_loop", "workers", "ray_address", "worker_options", "deterministic", "cache", "cache_file")
)
"""Settings that change what computes the results, not what is measured."""
OF_MODEL: Final = frozenset(("model", "revision", "dtype", "chat_template_kwargs"))
"""Settings that name another base model, whose results are a table of their own."""
NOT_FROZEN: Final = MACHINE | OF_MODEL | {"save_adapters", "evaluator_url", "evaluator_model"}
"""Settings that no suite fixes."""


class Frozen(BaseModel):
    """Base of the parts of a suite's file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Part(Frozen):
    """One environment of a suite.

    Attributes:
        env: Gymnasium id.
        samples: Episodes of each task; of an environment with sequences of tasks, 1.
        seed: Of the episodes.
        in_call: Episodes whose updates train together, after which an agent that learns learns.
        model: The bundled base model.
        fingerprint: Of that model.
        settings: Every other setting of the environment.
        other_models: Those that differ with any other base model.
        tasks: Digest of each task by id, in order; see `task_digest`.
    """

    env: str
    samples: int
    seed: int
    in_call: int
    model: str
    fingerprint: str
    settings: Mapping[str, Any]
    other_models: Mapping[str, Any]
    tasks: Mapping[str, str]

    @property
    def sequences(self) -> int:
        """Number of sequences of tasks; 0 where each task is an episode of its own."""
        length = int(self.settings["sequence"])
        return len(self.tasks) // length if length > 1 else 0

    def environment(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the environment, given those of NOT_FROZEN that were chosen."""
        model = chosen.get("model") or self.model
        fixed = {**self.settings, **({} if model == self.model else self.other_models)}
        file = HERE / str(fixed["subset"])
        subset = {"subset": str(file)} if os.path.isfile(file) else {}  # which takes any text
        return {**fixed, **subset, **chosen, "model": model}

    def check_tasks(self, settings: Settings) -> None:
        """Check that the tasks are those that the suite was made of.

        Raises:
            TaskError: If one differs, or is missing; names it.
        """
        taskset = settings.spec.load(settings.subset, settings.options)
        domain = settings.spec.make(settings.options, None)
        if taskset.task_ids != tuple(self.tasks):
            raise TaskError(f"the suite's task set {settings.subset!r} has other tasks than those that were frozen")
        for task_id, expected in self.tasks.items():
            if task_digest(taskset[task_id], domain) != expected:
                raise TaskError(f"task {task_id!r} is not the one that the suite was made of")


class Suite(Frozen):
    """A version of the standard suite. name: of the version. summary: one line. parts: by name, in order."""

    name: str
    summary: str
    parts: Mapping[str, Part]

    @property
    def digest(self) -> str:
        """SHA-256 of all that the suite fixes."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()


def canonical(data: Any) -> str:
    """Data as JSON text that is the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def suite_names() -> tuple[str, ...]:
    """The versions that there are."""
    return tuple(DIGESTS)


@cache
def load_suite(name: str) -> Suite:
    """A version of the suite.

    Raises:
        SettingError: If there is none of this name.
        TaskError: If its file was edited.
    """
    if name not in DIGESTS:
        raise SettingError("suite", name, " or ".join(map(repr, DIGESTS)))
    suite = Suite.model_validate_json((HERE / f"{name}.json").read_text(encoding="utf-8"))
    if suite.digest != DIGESTS[name]:
        raise TaskError(f"{name}.json was edited: its digest is {suite.digest}, that of {name!r} is {DIGESTS[name]}")
    return suite


def task_digest(task: Task[Any, Any], domain: TaskDomain) -> str:
    """A digest of everything in a task, its id too: 16 hexadecimal digits of a SHA-256."""
    shown = [domain.as_data(segment) for segment in domain.segments(task.context)]
    data = [task.task_id, shown, _plain(task.queries), _plain(domain.gold(task))]
    return hashlib.sha256(canonical(data).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A value as JSON has it, fields that are empty left out, so that new optional ones change nothing."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if hasattr(value, "__dataclass_fields__"):
        return _plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items() if each not in (None, "", (), [])}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
