"""What a grader is: it says whether a prediction answers a question as the gold answer does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Attempt(NamedTuple):
    """What is graded: a question, its gold answer, and all that a model wrote for an answer."""

    question: str
    gold: str
    prediction: str


class Grader(Protocol):
    """Equal attempts are graded alike, in whatever order and company they come."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """Whether the prediction is right. Raises GraderError if that cannot be found out, which is never a wrong answer."""
        ...

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """`grade` for each, in order, and faster where a model is asked. Raises GraderError as `grade` does."""
        ...
