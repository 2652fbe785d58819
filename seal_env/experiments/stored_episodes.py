"""Episodes as run folders hold them: how they ended, and the answers that were scored. Nothing in a folder is changed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seal_env.agents.evaluation import EvalSample, samples_of
from seal_env.errors import RunFolderError
from seal_env.experiments.episode_log import FILE
from seal_env.experiments.run_folder import files_below
from seal_env.journal import read_records
from seal_env.redaction import HIDDEN
from seal_env.types import Outcome

SAMPLES: Final = ("samples.jsonl", "held-out.jsonl")
COMMANDS: Final = ("run", "eval", "train rest-em", "train grpo")
"""Commands whose folders have episodes with their answers."""

Predictions = tuple[Any, ...]
"""For each query the attempts made, as in `Evaluation.predictions_Q`."""


@dataclass(frozen=True)
class StoredEpisode:
    """An episode on record.

    Attributes:
        where: For people: `episode 3`, `round-1/samples.jsonl, self-edit 17`.
        task_ids: The task; in a sequence all of them.
        outcome: See `seal_env.types.Outcome`.
        reward: The return; nan after an infrastructure failure.
        rewards: Its parts. Those of updates do not matter.
        updates: For each part the number of the update, from 1, whose reward it is; None for other turns.
        answers: Rows of the answers to each task: before the first update and after each; None where there are none. Empty
            if no update was scored.
        correct: Which answers were right, in the same form; empty if it is not on record.
        gold: The right answers to each task; empty if they are not on record.
        grader: What decided on answers; empty if it is not on record.
    """

    where: str
    task_ids: tuple[str, ...]
    outcome: str
    reward: float
    rewards: tuple[float, ...]
    updates: tuple[int | None, ...]
    answers: tuple[tuple[Predictions | None, ...], ...] = ()
    correct: tuple[tuple[tuple[bool, ...], ...], ...] = ()
    gold: tuple[Any, ...] = ()
    grader: str = ""

    @property
    def failed(self) -> bool:
        """Whether an infrastructure failure ended it."""
        return math.isnan(self.reward)


@dataclass(frozen=True)
class StoredJournal:
    """The episodes of one file. name: relative to the run folder. held_out: they are of the tasks to measure on."""

    name: str
    episodes: tuple[StoredEpisode, ...]
    held_out: bool = False

    @property
    def grader(self) -> str:
        """What decided on the answers; empty if there are none."""
        return next(filter(None, (episode.grader for episode in self.episodes)), "")


def stored_journals(folder: Path, command: str) -> list[StoredJournal]:
    """Every journal of a run folder.

    Args:
        folder: The run folder.
        command: That wrote it.

    Raises:
        RunFolderError: If it has no episodes with their answers, or they cannot be read.
    """
    files = journal_files(folder, command)
    found = [
        StoredJournal(name, tuple(_read(path, name, _of_records if name == FILE else _of_samples)), "held" in path.name)
        for name, path in files.items()
    ]
    if not any(journal.episodes for journal in found):
        raise RunFolderError(f"{str(folder)!r} has no finished episodes")
    return found


def journal_files(folder: Path, command: str) -> dict[str, Path]:
    """The files with a run folder's episodes, by their names in it, in the order in which they were begun.

    Args:
        folder: The run folder.
        command: That wrote it.

    Raises:
        RunFolderError: For a command that records sequences or tables of several runs.
    """
    if command not in COMMANDS:
        inside = sorted(str(path.parent) for name in SAMPLES for path in folder.glob(f"*/{name}"))
        its = f"; its parts do: {', '.join(inside)}" if inside else f"; {', '.join(COMMANDS)} do"
        raise RunFolderError(f"{str(folder)!r}: {command!r} records no single episodes{its}")
    if command == "run":
        return {FILE: folder / FILE} if (folder / FILE).exists() else {}
    paths = sorted((path for path in files_below(folder) if path.name in SAMPLES), key=_order)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _order(path: Path) -> list[Any]:
    """Round 10 comes after round 9, `before` before `after`, and samples before what was learned from them."""
    parts = re.split(r"(\d+)", path.parent.as_posix())
    folder = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    return [path.parent.name == "after", folder, path.name == SAMPLES[1]]


def _read(
    path: Path, name: str, read: Callable[[str, list[dict[str, Any]]], Iterator[StoredEpisode]]
) -> list[StoredEpisode]:
    try:
        return list(read(name, read_records(path, dict)))
    except RunFolderError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        what = f"{error} is missing: another version wrote it" if isinstance(error, KeyError) else str(error)
        raise RunFolderError(f"{str(path)!r} cannot be read: {what}") from error


def _of_records(_name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[StoredEpisode]:
    for record in sorted(records, key=lambda each: int(each["episode"])):
        sequence = tuple(record.get("sequence", ()))
        rewards = tuple(math.nan if reward is None else float(reward) for reward in record["rewards"])
        scored = not record["truncated"] and record.get("accuracy_after") is not None
        updates: tuple[int | None, ...] = (None,) * (len(rewards) - 1) + (1 if scored else None,)
        about: dict[str, Any] = {}
        if scored and sequence:
            updates = tuple(record["updates"])
            about = {"answers": _as_tuples(record["retention_predictions"]), "gold": _as_tuples(record["gold"])}
        elif scored:
            about = _one_task(record) | {"gold": (_as_tuples(record["gold"]),)}
        where, tasks = f"episode {record['episode']}", sequence or (record["task_id"],)
        about["grader"] = record.get("grader", "")
        yield _checked(StoredEpisode(where, tasks, record["outcome"], sum(rewards), rewards, updates, **about))


def _of_samples(name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[StoredEpisode]:
    for number, sample in enumerate(samples_of(records)):
        scored = _scored(sample)
        about = _one_task(sample.answers) | {"grader": sample.answers["grader"]} if scored else {}
        parts = ((sample.earlier_reward, 0.0), (None, 1)) if scored else ((sample.reward,), (None,))
        where = f"{name}, self-edit {number}"
        yield _checked(StoredEpisode(where, (sample.task_id,), sample.outcome, sample.reward, *parts, **about))


def _scored(sample: EvalSample) -> bool:
    """Whether an update of this self-edit was scored."""
    return not sample.failed and not math.isnan(sample.accuracy_before) and sample.outcome != Outcome.DIVERGED


def _one_task(record: Mapping[str, Any]) -> dict[str, Any]:
    before_and_after = ("before", "after")
    return {
        "answers": tuple((_as_tuples(record[f"predictions_{when}"]),) for when in before_and_after),
        "correct": tuple((_as_tuples(record[f"correct_{when}"]),) for when in before_and_after),
    }


def _checked(episode: StoredEpisode) -> StoredEpisode:
    """Raise ValueError for answers in which a key or a password was replaced."""
    if any(HIDDEN in text for text in _texts(episode.answers)):
        raise ValueError(f"an answer of {episode.where} holds {HIDDEN}, which may stand for a key or a password")
    return episode


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
