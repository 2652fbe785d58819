"""`seal-env show`: what a run folder holds, and one of its episodes. Nothing in the folder is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import get_domain
from seal_env.errors import RunFolderError, SealError, SettingError
from seal_env.experiments.episode_log import FILE
from seal_env.experiments.results import read_tables
from seal_env.experiments.run_folder import Tables
from seal_env.journal import read_records
from seal_env.settings import Settings
from seal_env.types import Evaluation, Task, TaskDomain, Taskset

REPORTS: Final = {
    "eval": "eval.json",
    "eval suite": "results.json",
    "train rest-em": "result.json",
    "train grpo": "result.json",
    "reproduce": "table.json",
    "reproduce continual": "table.json",
}
"""By command, the file that its result is in once it has ended."""


@dataclass(frozen=True)
class Overview:
    """What a run folder holds.

    Attributes:
        folder: The run folder.
        tables: Of its settings.toml.
        records: The episodes of `run`, in order.
        report: The result of any other command.
    """

    folder: Path
    tables: Tables
    records: Sequence[Mapping[str, Any]]
    report: Mapping[str, Any] | None

    @property
    def command(self) -> str:
        """The command that wrote the folder."""
        return str(self.tables["run"].get("command", "run"))

    @property
    def spec(self) -> DomainSpec:
        """The domain. Raises SettingError for one that is not installed."""
        return get_domain(str(self.tables["environment"].get("domain")))


def overview(folder: Path) -> Overview:
    """What a run folder holds.

    Raises:
        RunFolderError: If that is nothing yet, or cannot be read.
    """
    tables = read_tables(folder)
    command = str(tables["run"].get("command", "run"))
    path = folder / REPORTS.get(command, FILE)
    if not path.exists():
        raise RunFolderError(f"{str(folder)!r} has no {path.name} yet: {command!r} has not ended, or not begun")
    try:
        if command in REPORTS:
            return Overview(folder, tables, (), json.loads(path.read_text(encoding="utf-8")))
        return Overview(folder, tables, sorted(read_records(path, dict), key=lambda record: int(record["episode"])), None)
    except RunFolderError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunFolderError(f"{str(path)!r} cannot be read: {error}") from error


def record_of(found: Overview, episode: int) -> Mapping[str, Any]:
    """The record of an episode of `run`, by its number.

    Raises:
        SettingError: If there is no such episode.
    """
    by_number = {record["episode"]: record for record in found.records}
    if episode not in by_number:
        of_run = f"one of the {len(by_number)} episodes of {str(found.folder)!r}"
        legal = of_run if by_number else "none: only folders of `run` have episodes to show"
        raise SettingError("episode", episode, legal)
    return by_number[episode]


@dataclass(frozen=True)
class ShownTask:
    """The task of an episode as it is rendered, and the answers that were given to it."""

    task: Task[Any, Any]
    domain: TaskDomain
    answers: Mapping[str, Evaluation | None]


class ShownTasks:
    """The tasks of a run's episodes as they are rendered. Each task set is loaded once, when it is first asked for.

    Args:
        tables: Of the run's settings.toml.
    """

    def __init__(self, tables: Tables) -> None:
        self._environment = {name: each for name, each in tables["environment"].items() if name != "reward"}
        self._loaded: dict[str, tuple[Taskset[Any, Any], TaskDomain] | None] = {}

    def of(self, record: Mapping[str, Any], subset: str | None = None) -> ShownTask | None:
        """The task of an episode; None for a sequence of tasks, and where the task or its settings are no longer to be had.

        Args:
            record: What is on record: `task_id`, and the answers if there are any.
            subset: The task set; None is that of the environment.
        """
        if "sequence" in record:
            return None
        name = str(self._environment.get("subset")) if subset is None else subset
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        loaded = self._loaded[name]
        if loaded is None:
            return None
        try:
            task = loaded[0][record["task_id"]]
        except SealError:
            return None
        answers = {when: _evaluation(record, when) for when in ("before", "after")}
        fits = all(each is None or len(each.predictions_Q) == len(task.queries) for each in answers.values())
        return ShownTask(task, loaded[1], answers) if fits else None

    def _load(self, subset: str) -> tuple[Taskset[Any, Any], TaskDomain] | None:
        try:
            used = Settings.resolve(**{**self._environment, "subset": subset})
            return used.spec.load(used.subset, used.options), used.spec.make(used.options, None)
        except SealError:
            return None


def shown_task(found: Overview, record: Mapping[str, Any]) -> ShownTask | None:
    """The task of an episode; see `ShownTasks.of`."""
    return ShownTasks(found.tables).of(record)


def _evaluation(record: Mapping[str, Any], when: str) -> Evaluation | None:
    predictions, correct = record.get(f"predictions_{when}"), record.get(f"correct_{when}") or ()
    return None if predictions is None else Evaluation(0.0, 0.0, _as_tuples(predictions), correct_Q=tuple(correct))


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
