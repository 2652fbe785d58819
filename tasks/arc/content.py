"""What an ARC task is by its content: the same demonstrations in any order, the same id, or one of the same larger grids."""

from __future__ import annotations

import re
from typing import Final

from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.content import Parts, digest, digest_of_all

ARC_ID: Final = re.compile("[0-9a-f]{8}")
"""An id of ARC-AGI, which means the same task in all of its releases: some have other demonstrations or test inputs."""
CELLS: Final = 9
"""Cells of an input from which on two tasks do not have the same pair by chance; generated ones of 2 x 2 cells do."""


def content(task: ArcTask) -> list[str]:
    """Digests of the demonstrations together, of each larger pair, and of an id that ARC-AGI gave."""
    pairs = [pair for pair in (*task.context, *task.queries) if len(pair.input) * len(pair.input[0]) >= CELLS]
    named = [digest("id", task.task_id)] if ARC_ID.fullmatch(task.task_id) else []
    return [*named, digest_of_all("demonstrations", map(tuple, task.context)), *(digest("pair", *pair) for pair in pairs)]


def parts(task: ArcTask) -> Parts:
    """None: a larger pair makes two tasks the same, see `content`, and smaller ones coincide by chance."""
    return Parts(frozenset(), frozenset())
