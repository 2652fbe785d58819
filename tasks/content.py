"""What a task is by its content, whatever its id: digests that tasks of one kind share if they share what is in them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from seal_env.types import Task


class Parts(NamedTuple):
    """Digests of the single pieces of a task: all that can be learned from it, and those that its queries ask about."""

    known: frozenset[str]
    asked: frozenset[str]


def digest(kind: str, *parts: object) -> str:
    """A digest of parts in their order. kind: what they are, so that parts of other kinds are told apart."""
    return f"{kind} {hashlib.sha256(repr(parts).encode()).hexdigest()}"


def digest_of_all(kind: str, parts: Iterable[object]) -> str:
    """A digest of parts whose order does not matter."""
    return digest(kind, *sorted(map(repr, parts)))


def spaced(text: str) -> str:
    """A text without what may differ between copies of it: case, spaces, line breaks and forms of characters."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> str:
    """A text as `spaced` leaves it, without punctuation too."""
    return " ".join("".join(char if char.isalnum() else " " for char in spaced(text)).split())


def content(task: Task[Any, Any]) -> list[str]:
    """Digests of what an agent sees of a task, and of what it is asked."""
    return [digest("context", task.context), digest("queries", task.queries)]


def parts(task: Task[Any, Any]) -> Parts:
    """Digests of its queries, each by itself."""
    asked = frozenset(digest("query", query) for query in task.queries)
    return Parts(asked, asked)
