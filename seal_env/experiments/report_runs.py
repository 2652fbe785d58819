"""The runs of a report: folders of `run`, `eval` and `train`, and the parts of those of `reproduce`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seal_env.agents.evaluation import EvalSample
from seal_env.errors import RunFolderError
from seal_env.experiments.results import HELD_OUT, Results, read_results, read_tables
from seal_env.experiments.run_folder import FINISHED, SETTINGS, Tables, files_below
from seal_env.experiments.show import REPORTS, overview
from seal_env.experiments.stored_episodes import COMMANDS


@dataclass(frozen=True)
class ReportedRun:
    """A run of a report.

    Attributes:
        name: A letter; of a part of `reproduce` its folder.
        results: Its samples.
        records: Of `run`, the lines of episodes.jsonl, in the order of the samples.
    """

    name: str
    results: Results
    records: Sequence[Mapping[str, Any]] = ()

    @property
    def held_out(self) -> dict[int, Sequence[EvalSample]]:
        """Of a policy that is trained, its samples on held-out tasks after each round; 0 is the untrained policy."""
        names = [name for name in self.results.journals if name.endswith(HELD_OUT)]
        return {number: self.results.journals[name] for number, name in enumerate(names)}

    @property
    def sampled(self) -> Sequence[EvalSample]:
        """The self-edits in the order in which they were made; of a policy that is trained those that it learned from."""
        journals = self.results.journals
        chosen = [samples for name, samples in journals.items() if not name.endswith(HELD_OUT)] or [*journals.values()]
        return [sample for samples in chosen for sample in samples]

    @property
    def episodes(self) -> list[tuple[str, EvalSample]]:
        """(journal, sample) of all episodes."""
        return [(name, sample) for name, samples in self.results.journals.items() for sample in samples]


@dataclass(frozen=True)
class Reported:
    """All that a report is made of.

    Attributes:
        folders: Tables of the folders that were named.
        runs: With single episodes, in the order in which they were named.
        results: Of `reproduce`: the content of table.json, by folder.
    """

    folders: Mapping[Path, Tables]
    runs: Sequence[ReportedRun]
    results: Mapping[Path, Mapping[str, Any]]

    @property
    def finished(self) -> bool:
        """Whether no run has anything left to do."""
        return all(is_finished(folder) for folder in self.folders)


def is_finished(folder: Path) -> bool:
    """Whether the run of a folder has nothing left to do."""
    return (folder / FINISHED).exists()


def read_runs(folders: Sequence[Path]) -> Reported:
    """Read run folders.

    Raises:
        RunFolderError: If one of them has nothing to show yet, or cannot be read.
        SettingError: For a domain that is not installed.
    """
    tables = {folder: read_tables(folder) for folder in folders}
    runs: list[ReportedRun] = []
    results = {}
    letters = _letters()
    for folder, each in tables.items():
        command = str(each["run"].get("command", "run"))
        if command in COMMANDS:
            runs.append(_read(next(letters), folder, command))
            continue
        if (folder / REPORTS.get(command, "")).is_file():
            results[folder] = overview(folder).report or {}
        runs += _parts(folder)
    if not runs and not results:
        raise RunFolderError(f"{', '.join(repr(str(each)) for each in folders)}: no finished episodes")
    return Reported(tables, runs, results)


def _read(name: str, folder: Path, command: str) -> ReportedRun:
    return ReportedRun(name, read_results(folder), overview(folder).records if command == "run" else ())


def _parts(folder: Path) -> Iterator[ReportedRun]:
    """The runs in a folder of `reproduce` that have finished any episode."""
    for path in (each for each in files_below(folder) if each.name == SETTINGS):
        part = path.parent
        command = "" if part == folder else str(read_tables(part)["run"].get("command", "run"))
        if command not in COMMANDS:
            continue
        try:
            yield ReportedRun(part.relative_to(folder).as_posix(), read_results(part))
        except RunFolderError as error:
            if "no finished episodes" not in str(error):
                raise


def _letters() -> Iterator[str]:
    number = 0
    while True:
        yield chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
        number += 1


def training_log(folder: Path) -> list[Mapping[str, Any]]:
    """Of `train grpo` TRL's log of each step; empty until it has ended. Raises RunFolderError if it cannot be read."""
    path = folder / "training.json"
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{str(path)!r} cannot be read: {error}") from error
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
