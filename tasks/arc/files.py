"""ARC tasks from JSON files, in the forms in which they are published.

- A folder of task files, or one task file: `{"train": [{"input", "output"}, ...], "test": [...]}`; the file's name without
  `.json` is the task's id.
- A challenges file with its solutions file (ARC Prize, Kaggle): `{id: {"train": [...], "test": [{"input"}, ...]}}` and
  `{id: [output, ...]}`. `NAME_challenges.json` finds `NAME_solutions.json` beside it.

Files are untrusted: whatever is wrong with one is a TaskError that says file, task, pair, row and value. Hidden files of a
folder, as macOS puts them there (`._NAME.json`), are none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from seal_env.errors import TaskError
from seal_env.tasks.arc.grid import Grid, GridPair, check_grid
from seal_env.tasks.arc.task import ArcTask, ArcTaskset
from seal_env.tasks.bad_tasks import BadTasks, read_all
from seal_env.tasks.base import ListTaskset
from seal_env.tasks.json_values import kind_of
from seal_env.tasks.text_files import parse_json, read_text
from seal_env.types import Task

MAX_ID: Final = 100
"""Most characters of a task's id."""


def read_taskset(
    path: Path, solutions: Path | None = None, name: str | None = None, bad_tasks: BadTasks = "error"
) -> ArcTaskset:
    """The tasks of a folder, of a task file, or of a challenges file; solutions only go with the last. Raises TaskError."""
    name = name or str(path)
    if path.is_dir():
        named = (file for file in path.iterdir() if file.suffix.lower() == ".json" and not file.name.startswith("."))
        files = sorted(file for file in named if not file.is_dir())
        if not files:
            raise TaskError(f"{path}: no .json file in this folder")
        read = read_all((partial(_read_task_file, file) for file in files), name, bad_tasks)
        return ListTaskset(name, tuple(read))
    content = _read_json(path)
    if "train" in content or "test" in content:
        return ListTaskset(name, (_task_file(path, content),))
    return ListTaskset(name, _challenges(path, content, solutions or _beside(path), bad_tasks))


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises TaskError."""
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict):
        raise TaskError(f"{path}: expected a JSON object, got {kind_of(content)}")
    return content


def _read_task_file(path: Path) -> ArcTask:
    if path.exists() and not path.is_file():  # a pipe would be waited for, a device read for ever
        raise TaskError(f"{path}: a pipe or a device, not a file")
    return _task_file(path, _read_json(path))


def _task_file(path: Path, content: Mapping[str, Any]) -> ArcTask:
    if "train" not in content and content and all(isinstance(value, Mapping) for value in content.values()):
        raise TaskError(f"{path}: holds many tasks; give the path of this file instead of its folder")
    return _task(path.stem, content, f"{path}: task {path.stem}")


def _beside(path: Path) -> Path | None:
    """The solutions file that belongs to a challenges file by its name, if it exists."""
    partner = path.with_name(path.name.replace("challenges", "solutions"))
    return partner if partner != path and partner.exists() else None


def _challenges(
    path: Path, content: Mapping[str, Any], solutions_path: Path | None, bad_tasks: BadTasks
) -> tuple[ArcTask, ...]:
    solutions = _read_json(solutions_path) if solutions_path else {}

    def read(task_id: str) -> ArcTask:
        task, where = content[task_id], f"{path}: task {task_id}"
        if not isinstance(task, Mapping):
            raise TaskError(f"{where}: expected an object with 'train' and 'test', got {kind_of(task)}")
        if solutions_path and task_id not in solutions:
            raise TaskError(f"{where}: no solution in {solutions_path}")
        return _task(task_id, task, where, solutions.get(task_id))

    if not content:
        raise TaskError(f"{path}: no tasks")
    return tuple(read_all((partial(read, task_id) for task_id in content), f"{path}", bad_tasks))


def _task(task_id: str, content: Mapping[str, Any], where: str, outputs: object = None) -> ArcTask:
    """One task; `outputs` are those of its test inputs if they come from a solutions file."""
    if not task_id.strip() or not task_id.isprintable() or len(task_id) > MAX_ID:
        raise TaskError(f"{where[:200]!r}: the id is not legal; expected 1 to {MAX_ID} printable characters")
    train, test = _pairs(content, "train", where), _pairs(content, "test", where)
    if outputs is not None:
        if not isinstance(outputs, Sequence) or len(outputs) != len(test):
            raise TaskError(f"{where}: expected {len(test)} solutions, one for each test input, got {kind_of(outputs)}")
        test = [{**pair, "output": output} for pair, output in zip(test, outputs, strict=True)]
    for index, pair in enumerate(test):
        if "output" not in pair:
            raise TaskError(
                f"{where}: test pair {index} has no 'output'; expected a file named like this one with 'solutions' for "
                f"'challenges' in the same folder, or CHALLENGES.json:SOLUTIONS.json"
            )
    return Task(
        task_id,
        tuple(_pair(pair, f"{where}: train pair {index}") for index, pair in enumerate(train)),
        tuple(_pair(pair, f"{where}: test pair {index}") for index, pair in enumerate(test)),
    )


def _pairs(content: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    pairs = content.get(key)
    if not isinstance(pairs, list) or not pairs:
        raise TaskError(f"{where}: expected {key!r} to be a list of at least one pair, got {kind_of(pairs)}")
    for index, pair in enumerate(pairs):
        if not isinstance(pair, Mapping):
            expected = "an object with 'input' and 'output'"
            raise TaskError(f"{where}: {key} pair {index}: expected {expected}, got {kind_of(pair)}")
    return pairs


def _pair(pair: Mapping[str, Any], where: str) -> GridPair:
    return GridPair(_side(pair, "input", where), _side(pair, "output", where))


def _side(pair: Mapping[str, Any], key: str, where: str) -> Grid:
    if key not in pair:
        raise TaskError(f"{where}: no {key!r}")
    return check_grid(pair[key], f"{where}: {key}")
