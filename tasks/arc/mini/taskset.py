"""`mini-train` and `mini-eval` as task sets: their tasks are drawn when they are asked for, then kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard, cast

from seal_env.tasks.arc.mini.rule import Split
from seal_env.tasks.arc.mini.rules import mini_task
from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.base import first, shuffled, unknown_task

DEFAULT_COUNT = 100
MINI_ID = re.compile(r"mini-(train|eval)-(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})", re.ASCII)


@dataclass(frozen=True)
class MiniTaskset:
    """Some of the endless `mini` tasks, by id, in order.

    Ids read mini-SPLIT-SEED-INDEX and are a recipe, so `taskset["mini-eval-7-123"]` resolves although iteration does not
    come by it.
    """

    name: str
    task_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.task_ids)

    def __iter__(self) -> Iterator[ArcTask]:
        return map(draw, self.task_ids)

    def __getitem__(self, task_id: str) -> ArcTask:
        if not is_mini_id(task_id):
            raise unknown_task(task_id, f"{self.name} (any mini-train-SEED-INDEX or mini-eval-SEED-INDEX)", self.task_ids)
        return draw(task_id)

    def head(self, count: int) -> MiniTaskset:
        """The first `count` tasks, or all if there are fewer. Raises SettingError below 0."""
        return replace(self, task_ids=first(self.task_ids, count))

    def shuffle(self, seed: int) -> MiniTaskset:
        """The same tasks in an order that depends on the seed alone."""
        return replace(self, task_ids=shuffled(self.task_ids, seed))


def mini_taskset(name: str, split: Split, count: int | None = None, seed: int = 0) -> MiniTaskset:
    """The first `count` tasks (100 if not said) of a split and seed."""
    numbers = range(DEFAULT_COUNT if count is None else count)
    return MiniTaskset(name, tuple(f"mini-{split}-{seed}-{index}" for index in numbers))


def is_mini_id(task_id: object) -> TypeGuard[str]:
    """True for mini-SPLIT-SEED-INDEX, numbers written without leading zeros."""
    return isinstance(task_id, str) and MINI_ID.fullmatch(task_id) is not None


@lru_cache(maxsize=4096)
def draw(task_id: str) -> ArcTask:
    """The task of an id for which `is_mini_id` holds."""
    _, split, seed, index = task_id.split("-")
    return mini_task(cast(Split, split), int(seed), int(index))[1]
