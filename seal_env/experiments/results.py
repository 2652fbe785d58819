"""What a run folder has measured, as samples in one form whatever the command was. Nothing in the folder is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seal_env.agents.evaluation import EvalSample, sample_of, samples_of
from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import get_domain
from seal_env.errors import RunFolderError
from seal_env.experiments.episode_log import FILE, trajectory_of
from seal_env.experiments.run_folder import SETTINGS, Tables, read_settings
from seal_env.experiments.stored_episodes import journal_files
from seal_env.journal import read_records

HELD_OUT: Final = "held-out.jsonl"


@dataclass(frozen=True)
class Results:
    """The samples of a run folder.

    Attributes:
        folder: The run folder.
        tables: Of its settings.toml.
        journals: Samples by file, in the order in which they were made.
    """

    folder: Path
    tables: Tables
    journals: Mapping[str, Sequence[EvalSample]]

    @property
    def spec(self) -> DomainSpec:
        """The domain. Raises SettingError for one that is not installed."""
        return get_domain(str(self.tables["environment"]["domain"]))

    @property
    def command(self) -> str:
        """The command that wrote the folder."""
        return str(self.tables["run"].get("command", "run"))

    @property
    def label(self) -> str:
        """The agent, or what was trained."""
        return str(self.tables["run"].get("agent", self.command))

    @property
    def final(self) -> Sequence[EvalSample]:
        """What the run came to: all samples, or of a policy that was trained the last ones on held-out tasks."""
        held_out = [samples for name, samples in self.journals.items() if name.endswith(HELD_OUT)]
        return (held_out or list(self.journals.values()))[-1]


def read_tables(folder: Path) -> Tables:
    """The tables of a run's settings.toml. Raises RunFolderError if they cannot be read, or are those of something else."""
    tables = read_settings(folder)
    for name in ("run", "environment"):
        if not isinstance(tables.get(name), Mapping):
            raise RunFolderError(f"{str(folder / SETTINGS)!r} has no table [{name}]: it is not of a run of seal-env")
    return tables


def read_results(folder: Path) -> Results:
    """The samples of a folder of `run`, `eval` or `train`.

    Raises:
        RunFolderError: If it has none, or they cannot be read.
        SettingError: If its domain is not installed.
    """
    tables = read_tables(folder)
    spec = get_domain(str(tables["environment"].get("domain")))
    journals = {}
    for name, path in journal_files(folder, str(tables["run"].get("command", "run"))).items():
        try:
            records = read_records(path, dict)
            journals[name] = _of_records(records, spec) if name == FILE else samples_of(records)
        except RunFolderError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunFolderError(f"{str(path)!r} cannot be read: {error}") from error
    if not any(journals.values()):
        raise RunFolderError(f"{str(folder)!r} has no finished episodes")
    return Results(folder, tables, {name: samples for name, samples in journals.items() if samples})


def _of_records(records: Sequence[Mapping[str, Any]], spec: DomainSpec) -> list[EvalSample]:
    seen: Counter[str] = Counter()
    samples = []
    for record in sorted(records, key=lambda each: int(each["episode"])):
        trajectory = trajectory_of(record)
        samples.append(sample_of(seen[trajectory.task_id], trajectory, spec.metrics, decoded="correct_after" in record))
        seen[trajectory.task_id] += 1
    return samples
