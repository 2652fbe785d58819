"""Generated task sets: a task id, PREFIX-SET-SEED-INDEX, is the recipe by which its task is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Self

from seal_env.errors import SettingError
from seal_env.tasks.base import first, shuffled, unknown_task
from seal_env.types import ContextT_co, QueryT_co, Task

DEFAULT_COUNT = 100


@dataclass(frozen=True)
class TaskGenerator(Generic[ContextT_co, QueryT_co]):
    """Draws tasks by id.

    Attributes:
        prefix: First part of every id.
        draw: (set, seed, index) -> the task; a pure function, worth caching.
        sets: Name of each set -> number of tasks that it has for each seed; None if it is endless.
    """

    prefix: str
    draw: Callable[[str, int, int], Task[ContextT_co, QueryT_co]]
    sets: Mapping[str, Callable[[], int] | None]

    def __contains__(self, task_id: object) -> bool:
        """True for the ids of its tasks; numbers are written without leading zeros."""
        return self._parse(task_id) is not None

    def parse(self, task_id: str) -> tuple[str, int, int]:
        """Split an id into set, seed and index.

        Raises:
            UnknownTaskError: No task has this id.
        """
        found = self._parse(task_id)
        if found is None:
            raise unknown_task(task_id, f"{self.prefix} ({self.ids})", ())
        return found

    def __getitem__(self, task_id: str) -> Task[ContextT_co, QueryT_co]:
        return self.draw(*self.parse(task_id))

    @property
    def ids(self) -> str:
        """The form of its ids, for messages."""
        return "any " + " or ".join(f"{self.prefix}-{name}-SEED-INDEX" for name in self.sets)

    def taskset(
        self, name: str, which: str, count: int | None = None, seed: int = 0
    ) -> GeneratedTaskset[ContextT_co, QueryT_co]:
        """The first `count` tasks (default 100) of the set `which`, under `name`.

        Raises:
            SettingError: The set does not have as many.
        """
        capacity = self.sets[which]
        if count is not None and capacity is not None and count > capacity():
            raise SettingError("count", count, f"at most {capacity()}, all that one seed has; take another seed")
        numbers = range(DEFAULT_COUNT if count is None else count)
        return GeneratedTaskset(name, tuple(f"{self.prefix}-{which}-{seed}-{index}" for index in numbers), self)

    def _parse(self, task_id: object) -> tuple[str, int, int] | None:
        pattern = rf"{self.prefix}-({'|'.join(self.sets)})-(0|[1-9][0-9]{{0,9}})-(0|[1-9][0-9]{{0,9}})"
        if not isinstance(task_id, str) or not (match := re.fullmatch(pattern, task_id, re.ASCII)):
            return None
        which, seed, index = match[1], int(match[2]), int(match[3])
        capacity = self.sets[which]
        return (which, seed, index) if capacity is None or index < capacity() else None


@dataclass(frozen=True)
class GeneratedTaskset(Generic[ContextT_co, QueryT_co]):
    """Some tasks of a generator, by id, in order.

    Tasks are drawn when they are read. Any id of the generator resolves, although iteration yields only `task_ids`.
    """

    name: str
    task_ids: tuple[str, ...]
    generator: TaskGenerator[ContextT_co, QueryT_co]

    def __len__(self) -> int:
        return len(self.task_ids)

    def __iter__(self) -> Iterator[Task[ContextT_co, QueryT_co]]:
        return map(self.generator.__getitem__, self.task_ids)

    def __getitem__(self, task_id: str) -> Task[ContextT_co, QueryT_co]:
        if task_id not in self.generator:
            raise unknown_task(task_id, f"{self.name} ({self.generator.ids})", self.task_ids)
        return self.generator[task_id]

    def head(self, count: int) -> Self:
        """The first `count` tasks, or all if there are fewer.

        Raises:
            SettingError: `count` is negative.
        """
        return replace(self, task_ids=first(self.task_ids, count))

    def shuffle(self, seed: int) -> Self:
        """The same tasks in an order that depends on the seed alone."""
        return replace(self, task_ids=shuffled(self.task_ids, seed))
