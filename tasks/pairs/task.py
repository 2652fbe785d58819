"""What a task of pairs is made of: its context is solved examples, its queries are further problems with their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seal_env.types import Task


@dataclass(frozen=True)
class Pair:
    """A problem and its answer, as texts. entry: what a verifier of its own needs to know of it."""

    input: str
    output: str
    entry: Any = None


Examples = tuple[Pair, ...]


@dataclass(frozen=True)
class PairTask(Task[Examples, Pair]):
    """Solved examples and queries of one kind. metric: what decides on answers; the domain says what it may be."""

    metric: str = ""
