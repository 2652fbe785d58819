"""The protocol of graders: whether a prediction answers a question as the gold answer does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Attempt(NamedTuple):
    """A question, its gold answer, and all of the text that a model answered with."""

    question: str
    gold: str
    prediction: str


class Grader(Protocol):
    """Grades answers. Equal attempts get equal verdicts, in whatever order and batch they come."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """Whether the prediction is right.

        Raises:
            GraderError: The grader failed; this is an infrastructure failure, never a wrong answer.
        """
        ...

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """`grade` for each attempt, in order, in one batch where a model grades. Raises GraderError."""
        ...
