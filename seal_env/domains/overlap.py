"""Tasks that two task sets share, by what is in them: under whatever ids, and in whatever order."""

from __future__ import annotations

from typing import Any, NamedTuple

from seal_env.domains.base import DomainSpec
from seal_env.errors import SettingError
from seal_env.types import Taskset

NAMED = 20
"""Ids that an error names."""


class SharedTask(NamedTuple):
    """A task of one set, and the first task of another that has the same content."""

    one: str
    other: str

    def __str__(self) -> str:
        return self.one if self.one == self.other else f"{self.one} = {self.other}"


def shared_tasks(spec: DomainSpec, one: Taskset[Any, Any], other: Taskset[Any, Any]) -> list[SharedTask]:
    """The tasks of `one` that are in `other` too, in order; see `DomainSpec.content`."""
    known: dict[str, str] = {}
    for task in other:
        for key in spec.content(task):
            known.setdefault(key, task.task_id)
    found = []
    for task in one:
        match = next((known[key] for key in spec.content(task) if key in known), None)
        if match is not None:
            found.append(SharedTask(task.task_id, match))
    return found


def refuse_overlap(spec: DomainSpec, train: Taskset[Any, Any], held_out: Taskset[Any, Any]) -> None:
    """Raise SettingError for tasks to learn from that are among those to measure on; it names them."""
    shared = shared_tasks(spec, train, held_out)
    if shared:
        named = ", ".join(map(str, shared[:NAMED])) + (f" and {len(shared) - NAMED} more" if len(shared) > NAMED else "")
        legal = f"tasks that {train.name!r} does not have, unless allow_overlap is set. {len(shared)} are in both: {named}"
        raise SettingError("held_out", held_out.name, legal)
