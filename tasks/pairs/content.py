"""What a task of text pairs is by its content: the same solved examples, or the same queries, in any order."""

from __future__ import annotations

from collections.abc import Iterable

from seal_env.tasks.content import digest_of_all, spaced
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.types import Task


def content(task: Task[Examples, Pair]) -> list[str]:
    """Digests of the solved examples and of the queries, whatever their case and white space."""
    sides = {"examples": task.context, "queries": task.queries}
    return [_digest(name, pairs) for name, pairs in sides.items() if pairs]


def _digest(kind: str, pairs: Iterable[Pair]) -> str:
    return digest_of_all(kind, ((spaced(pair.input), spaced(pair.output)) for pair in pairs))
