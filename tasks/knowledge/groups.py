"""Several passages learned in one update, as in continued pretraining, and evaluated together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seal_env.errors import SettingError
from seal_env.tasks.base import unknown_task
from seal_env.tasks.knowledge.passage import Passage, PassageTaskset, Question
from seal_env.types import Task


@dataclass(frozen=True)
class GroupedTaskset:
    """Tasks of `size` passages each, in the order of the passages; a remainder at the end makes no task.

    A group's id is that of its first passage and the number of passages that follow it: "synthetic-train-0-8+3". The id of
    the first passage alone means the group too.
    """

    passages: PassageTaskset
    size: int

    def __post_init__(self) -> None:
        """Raises SettingError for a size that the passages do not reach."""
        if not 1 <= self.size <= max(1, len(self.passages)):
            legal = f"1 to {len(self.passages)}, as many as {self.name!r} has"
            raise SettingError("passages", self.size, legal)

    @property
    def name(self) -> str:
        """That of the passages' set."""
        return self.passages.name

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The groups' ids in order."""
        ids = self.passages.task_ids
        return tuple(self._id(ids[start]) for start in range(0, len(self) * self.size, self.size))

    def _id(self, first: str) -> str:
        return f"{first}+{self.size - 1}" if self.size > 1 else first

    def __len__(self) -> int:
        return len(self.passages) // self.size

    def __iter__(self) -> Iterator[Task[Any, Question]]:
        return map(self.__getitem__, self.task_ids)

    def __getitem__(self, task_id: str) -> Task[Any, Question]:
        if self.size == 1:
            return self.passages[task_id]
        ids = self.passages.task_ids
        first = task_id.removesuffix(f"+{self.size - 1}")
        starts = ids[: len(self) * self.size : self.size]
        if first not in starts:
            raise unknown_task(task_id, self.name, self.task_ids)
        start = ids.index(first)
        members = [self.passages[each] for each in ids[start : start + self.size]]
        context: tuple[Passage, ...] = tuple(member.context for member in members)
        return Task(self._id(first), context, tuple(query for member in members for query in member.queries))
