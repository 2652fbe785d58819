"""Read tasks from JSON lines.

Each line is an object:

    {"id": "plurals", "examples": [{"input": "mouse", "output": "mice"}, ...], "queries": [...], "metric": "exact_match"}

`examples` are shown and may be learned from, `queries` are what the updated model is scored on; `id` is the line's number
unless it is given, and `metric` names a grader, by default the setting `metric`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, Final

from seal_env.errors import TaskError
from seal_env.printable import HALF_CHARACTER
from seal_env.tasks.bad_tasks import BadTasks, read_all
from seal_env.tasks.base import ListTaskset
from seal_env.tasks.json_values import kind_of
from seal_env.tasks.pairs.task import Examples, Pair, PairTask
from seal_env.tasks.text_files import parse_json, read_text

FIELDS: Final = {"id", "examples", "queries", "metric"}
TASK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")


def read_tasks(
    path: Path, name: str, metrics: Collection[str], bad_tasks: BadTasks = "error"
) -> ListTaskset[Examples, Pair]:
    """The tasks of a file.

    Args:
        path: Of the file, in UTF-8.
        name: Of the task set.
        metrics: Graders that a task may name.
        bad_tasks: What becomes of malformed lines.

    Raises:
        TaskError: For a file that cannot be read, malformed lines (named with their fields) or an id that comes twice.
    """
    lines = read_text(path).split("\n")  # a line break within a text may be any other
    stem = NOT_IN_ID.sub("-", path.stem).strip(".-_")[:80] or "task"
    readers = [
        partial(_task, f"{path}, line {number}", line, f"{stem}-{number}", metrics)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not readers:
        raise TaskError(f"{path}: there is no task in it; expected a JSON object on each line")
    return ListTaskset(name, tuple(read_all(readers, f"{path}", bad_tasks)))


def _task(where: str, line: str, default_id: str, metrics: Collection[str]) -> PairTask:
    row = parse_json(line, where)
    if not isinstance(row, dict):
        raise TaskError(f"{where}: expected an object, got {kind_of(row)}")
    if unknown := sorted(row.keys() - FIELDS):
        raise TaskError(f"{where}: unknown field {unknown[0]!r}; expected {', '.join(sorted(FIELDS))}")
    task_id, metric = row.get("id", default_id), row.get("metric", "")
    if not isinstance(task_id, str) or not TASK_ID.fullmatch(task_id):
        raise TaskError(f"{where}: id={kind_of(task_id)} is not legal; expected letters, digits, '.', '_' and '-'")
    if metric and (not isinstance(metric, str) or metric not in metrics):
        raise TaskError(f"{where}: metric={kind_of(metric)} is not legal; expected {' or '.join(map(repr, metrics))}")
    examples, queries = (_pairs(where, row, field) for field in ("examples", "queries"))
    return PairTask(task_id, examples, queries, metric)


def _pairs(where: str, row: dict[str, Any], field: str) -> tuple[Pair, ...]:
    items = row.get(field)
    if not isinstance(items, list) or not items:
        raise TaskError(f"{where}: {field}={kind_of(items)} is not legal; expected a list with at least one pair")
    return tuple(_pair(f"{where}: {field}[{index}]", item) for index, item in enumerate(items))


def _pair(where: str, item: Any) -> Pair:
    if not isinstance(item, dict) or item.keys() != {"input", "output"}:
        raise TaskError(f"{where}={kind_of(item)} is not legal; expected an object with input and output")
    for field, text in item.items():
        if not isinstance(text, str) or not text.strip():
            raise TaskError(f"{where}.{field}={kind_of(text)} is not legal; expected a text that is not empty")
        if HALF_CHARACTER.search(text):
            raise TaskError(f"{where}.{field} holds half a character, which is no text")
    return Pair(item["input"], item["output"])
