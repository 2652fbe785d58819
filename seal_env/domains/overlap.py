"""Tasks that two task sets share, by what is in them: under whatever ids, and in whatever order; and pieces of tasks."""

from __future__ import annotations

from collections.abc import Sequence
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


class KnownPieces(NamedTuple):
    """A task to measure on, how many of the pieces that it asks about are in another set, and the first task there."""

    task_id: str
    known: int
    asked: int
    other: str

    def __str__(self) -> str:
        return f"{self.task_id} ({self.known} of {self.asked}, in {self.other})"


def known_pieces(spec: DomainSpec, train: Taskset[Any, Any], held_out: Taskset[Any, Any]) -> list[KnownPieces]:
    """The tasks of `held_out` that ask about pieces of tasks of `train`, in order; see `DomainSpec.parts`.

    They are no error: tasks that are drawn at random from a small space share questions by chance.
    """
    owners: dict[str, str] = {}
    for task in train:
        for piece in spec.parts(task).known:
            owners.setdefault(piece, task.task_id)
    found = []
    for task in held_out:
        asked = spec.parts(task).asked
        known = sorted(owners[piece] for piece in asked if piece in owners)
        if known:
            found.append(KnownPieces(task.task_id, len(known), len(asked), known[0]))
    return found


def listed(items: Sequence[object]) -> str:
    """The first NAMED items, and how many more there are."""
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(map(str, items[:NAMED])) + more


def refuse_overlap(spec: DomainSpec, train: Taskset[Any, Any], held_out: Taskset[Any, Any]) -> None:
    """Raise SettingError for tasks to learn from that are among those to measure on; it names them."""
    shared = shared_tasks(spec, train, held_out)
    if shared:
        among = f"{len(shared)} are in both: {listed(shared)}"
        legal = f"tasks that {train.name!r} does not have, unless allow_overlap is set. {among}"
        raise SettingError("held_out", held_out.name, legal)
