"""`seal-env rescore`: the rewards of stored episodes by another grader or reward."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any, Final

from seal_env.domains.base import DomainSpec
from seal_env.errors import GraderError, SettingError
from seal_env.experiments.rescore.scoring import Scoring
from seal_env.experiments.rescore.settings import OF_JUDGES, Changes, check_recorded, scorers
from seal_env.experiments.results import read_tables
from seal_env.experiments.stored_episodes import StoredEpisode, StoredJournal, stored_journals
from seal_env.intervals import bootstrap
from seal_env.journal import finite, write_whole

Report = Callable[[int, int], None]
GIVE_UP: Final = 3
"""Episodes in a row that a judge may fail at."""


def rescore(
    folder: Path,
    changes: Changes,
    out: Path | None = None,
    other_version: bool = False,
    report: Report = lambda _done, _total: None,
) -> dict[str, Any]:
    """Score the stored episodes of a run folder again, which stays as it is, and write the result to a file of its own.

    First the run's own grader and reward score the stored answers, unless a judge or a function did: they must give the
    rewards on record.

    Args:
        folder: Of `run`, `eval` or `train`.
        changes: To the run's settings of scoring.
        out: A new JSON file; None is one beside the folder.
        other_version: Take a run that another version of this package recorded. Its rewards are not checked.
        report: Called with the number of episodes that are scored, and of all: at the beginning and after each.

    Returns:
        The content of the file: `run`; `out`; `settings` of scoring, old and new; `checked`, whether the rewards on record
        were checked; a `summary` for each journal; all `episodes`; the answers whose verdict `changed`.

    Raises:
        SettingError: For settings that are not legal, and a function that is not pure.
        RunFolderError: For a run whose answers are not on record, or of another version, and a file that exists.
        GraderError: If a judge fails again and again. Its verdicts so far are cached.
        StorageError: If the file cannot be written.
    """
    tables = read_tables(folder)
    check_recorded(folder, tables, other_version)
    journals = stored_journals(folder, tables["run"].get("command", "run"))
    path = new_file(folder, out)
    known: dict[tuple[bool, str], Scoring] = {}  # of a training there may be dozens of journals
    for journal in journals:
        if (journal.held_out, journal.grader) not in known:
            scorer = Scoring(scorers(tables, journal, changes, path), checks=not other_version)
            known[journal.held_out, journal.grader] = scorer
    scorings = [known[journal.held_out, journal.grader] for journal in journals]
    spec, found = scorings[0].new.spec, _scored(list(zip(scorings, journals, strict=True)), report)
    result = finite(
        {
            "run": str(folder),
            "out": str(path),
            "settings": {
                "old": _of_scoring(tables["environment"], spec),
                "new": _of_scoring(scorings[0].new.settings.flat(), spec),
            },
            "checked": all(scoring.own is not None for scoring in scorings),
            "summary": {name: _summary(each) for name, each in found.items()},
            "episodes": [
                {"journal": name, **{field: value for field, value in each.items() if field != "changed"}}
                for name, scored in found.items()
                for each in scored
            ],
            "changed": [verdict for scored in found.values() for each in scored for verdict in each["changed"]],
        }
    )
    write_whole(path, json.dumps(result, indent=1))
    return dict(result)


def new_file(folder: Path, out: Path | None) -> Path:
    """The file for the result.

    Args:
        folder: The run folder, which it must not be in.
        out: None is a name beside the folder that is not taken.

    Raises:
        SettingError: For a file that exists, or is in the run folder.
    """
    whole = Path(os.path.abspath(folder))
    if out is None:
        names = (f"{whole.name}-rescored{f'-{number}' if number > 1 else ''}.json" for number in count(1))
        return next(
            path for path in map(folder.parent.joinpath if folder.name else whole.with_name, names) if not path.exists()
        )
    if os.path.lexists(out) or Path(os.path.abspath(out)).is_relative_to(whole):
        raise SettingError("out", str(out), f"a new file outside {str(folder)!r}, which stays as it is")
    return out


def _scored(journals: Sequence[tuple[Scoring, StoredJournal]], report: Report) -> dict[str, list[dict[str, Any]]]:
    """The episodes of each journal. Raises GraderError if a judge fails at GIVE_UP of them in a row, or at all."""
    found: dict[str, list[dict[str, Any]]] = {}
    failures: list[GraderError] = []
    total, done = sum(len(journal.episodes) for _, journal in journals), count(1)
    report(0, total)
    for scoring, journal in journals:
        found[journal.name] = []
        for episode in journal.episodes:
            try:
                found[journal.name].append(scoring.score(episode))
                failures.clear()
            except GraderError as error:
                failures.append(error)
                if len(failures) == GIVE_UP:
                    raise
                found[journal.name].append(_failed(episode, str(error)))
            report(next(done), total)
    if failures and len(failures) == sum(map(len, found.values())):
        raise failures[0]
    return found


def _failed(episode: StoredEpisode, reason: str) -> dict[str, Any]:
    """An episode that a judge failed at: it has no new figures, and above all no reward of 0."""
    unknown = {"old": None, "new": None}
    return {
        "episode": episode.where,
        "task_id": episode.task_ids[0],
        "outcome": episode.outcome,
        "reward": {"old": episode.reward, "new": None},
        "accuracy_before": unknown,
        "accuracy_after": unknown,
        "verdicts_changed": 0,
        "failed": reason,
        "changed": [],
    }


def _of_scoring(flat: Mapping[str, Any], spec: DomainSpec) -> dict[str, Any]:
    """The settings that scores depend on."""
    names = ("reward", spec.grading, *OF_JUDGES, *(("reward_over",) if flat.get("sequence", 1) > 1 else ()))
    return {name: flat[name] for name in names if flat.get(name) is not None}


def _summary(episodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, and means over tasks with 95 % bootstrap intervals, of the episodes that have both rewards."""
    both = [each for each in episodes if not each["failed"] and not math.isnan(each["reward"]["new"])]
    found: dict[str, Any] = {
        "episodes": len(episodes),
        "failed": sum(bool(each["failed"]) for each in episodes),
        "infrastructure": sum(math.isnan(each["reward"]["old"]) for each in episodes),
        "rewards_changed": sum(each["reward"]["old"] != each["reward"]["new"] for each in both),
        "verdicts_changed": sum(each["verdicts_changed"] for each in both),
    }
    tasks: dict[str, list[tuple[float, float]]] = {}
    for each in both:
        tasks.setdefault(each["task_id"], []).append((each["reward"]["old"], each["reward"]["new"]))
    found["tasks"] = len(tasks)
    if tasks:
        old, new = ([mean(pair[side] for pair in pairs) for pairs in tasks.values()] for side in (0, 1))
        found["old"], found["new"] = bootstrap(old)._asdict(), bootstrap(new)._asdict()
        found["difference"] = bootstrap([b - a for a, b in zip(old, new, strict=True)])._asdict()
    return found
