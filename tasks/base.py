"""Task sets: ordered collections of tasks under a name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Generic, NamedTuple, Self, TypeVar

import numpy as np

from seal_env.errors import SettingError, TaskError, UnknownTaskError
from seal_env.types import ContextT_co, QueryT_co, Task

ItemT = TypeVar("ItemT")
TasksetT_co = TypeVar("TasksetT_co", covariant=True)


@dataclass(frozen=True)
class ListTaskset(Generic[ContextT_co, QueryT_co]):
    """Tasks in a fixed order, held in memory.

    Raises:
        TaskError: Two tasks share an id.
    """

    name: str
    tasks: tuple[Task[ContextT_co, QueryT_co], ...]

    def __post_init__(self) -> None:
        if len(self._index) < len(self.tasks):
            twice = next(task_id for task_id in self.task_ids if self.task_ids.count(task_id) > 1)
            raise TaskError(f"task set {self.name}: task {twice} occurs more than once")

    @cached_property
    def _index(self) -> dict[str, Task[ContextT_co, QueryT_co]]:
        return {task.task_id: task for task in self.tasks}

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The ids in order."""
        return tuple(task.task_id for task in self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task[ContextT_co, QueryT_co]]:
        return iter(self.tasks)

    def __getitem__(self, task_id: str) -> Task[ContextT_co, QueryT_co]:
        if task_id not in self._index:
            raise unknown_task(task_id, self.name, self.task_ids)
        return self._index[task_id]

    def head(self, count: int) -> Self:
        """The first `count` tasks, or all if there are fewer.

        Raises:
            SettingError: `count` is negative.
        """
        return replace(self, tasks=first(self.tasks, count))

    def shuffle(self, seed: int) -> Self:
        """The same tasks in an order that depends on the seed alone."""
        return replace(self, tasks=shuffled(self.tasks, seed))


class Origin(NamedTuple):
    """Where tasks come from, in Markdown, and the SPDX identifier of the licence under which they may be used."""

    source: str
    licence: str


OWN: Final = Origin("this package", "MIT")
"""Of what is made here."""


@dataclass(frozen=True)
class TasksetEntry(Generic[TasksetT_co]):
    """A task set in a registry. Called with a number, it gives that many tasks, or as many as there are.

    Attributes:
        description: One line.
        load: (number of tasks, or None for all) -> task set.
        online: Whether loading it may download it.
        origin: Where its tasks come from, if it says so.
    """

    description: str
    load: Callable[[int | None], TasksetT_co]
    online: bool = False
    origin: Origin | None = None

    def __call__(self, count: int | None = None) -> TasksetT_co:
        """The task set, or its first `count` tasks. Raises SettingError below 1."""
        if count is not None and count < 1:
            raise SettingError("count", count, "a number of tasks, 1 or more")
        return self.load(count)


def first(items: Sequence[ItemT], count: int) -> tuple[ItemT, ...]:
    """The first `count` items. Raises SettingError below 0."""
    if count < 0:
        raise SettingError("count", count, "a number of tasks, 0 or more")
    return tuple(items[:count])


def shuffled(items: Sequence[ItemT], seed: int) -> tuple[ItemT, ...]:
    """The items in an order that depends on their number and the seed alone."""
    return tuple(items[index] for index in np.random.default_rng(seed).permutation(len(items)))


def unknown_task(task_id: str, where: str, known: Sequence[str]) -> UnknownTaskError:
    """The error for an id that does not exist: names it and the closest ids, or else the first ones."""
    close = difflib.get_close_matches(str(task_id), known, n=3)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif known:
        hint = f"there are {len(known)}: {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
    else:
        hint = "it is empty"
    return UnknownTaskError(f"no task {task_id!r} in task set {where}; {hint}")
