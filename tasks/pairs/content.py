"""What a task of text pairs is by content: the same solved examples or the same queries, in any order, on either side."""

from __future__ import annotations

from seal_env.tasks.content import Parts, digest, digest_of_all, spaced
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.types import Task


def content(task: Task[Examples, Pair]) -> list[str]:
    """Digests of the solved examples and of the queries, whatever their case and white space.

    The two are told apart nowhere: examples that are another task's queries give its answers away.
    """
    return [digest_of_all("pairs", map(_spaced, pairs)) for pairs in (task.context, task.queries) if pairs]


def parts(task: Task[Examples, Pair]) -> Parts:
    """Digests of each pair: those solved and those asked can be learned."""
    asked = frozenset(digest("pair", _spaced(pair)) for pair in task.queries)
    return Parts(asked | {digest("pair", _spaced(pair)) for pair in task.context}, asked)


def _spaced(pair: Pair) -> tuple[str, str]:
    return spaced(pair.input), spaced(pair.output)
