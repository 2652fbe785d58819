"""A knowledge task: its context is a passage, its queries are questions with gold answers."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from seal_env.types import Task, Taskset

QuestionKind = Literal["direct", "reversed", "indirect", ""]


@dataclass(frozen=True)
class Passage:
    """What the agent reads: a title and a text. Nothing of the questions is in it."""

    title: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question to be answered without the passage.

    Attributes:
        question: The text.
        answer: The gold answer.
        alternatives: Other right answers.
        kind: Where it is known: `direct` names the subject and asks for a fact, `reversed` gives the fact and asks for the
            subject, `indirect` describes the subject by another fact.
    """

    question: str
    answer: str
    alternatives: tuple[str, ...] = ()
    kind: QuestionKind = ""

    @property
    def golds(self) -> tuple[str, ...]:
        """Every answer that counts as right, the gold answer first."""
        return (self.answer, *self.alternatives)


@dataclass(frozen=True)
class PassageTask(Task[Passage, Question]):
    """A passage and its questions. published: self-edits written for this passage by others, as their file has them."""

    published: tuple[str, ...] = ()


PassageTaskset = Taskset[Passage, Question]


def passage_id(passage: Passage) -> str:
    """An id such as "martin-luther-5f3a9c21": equal for equal titles and texts, whatever their spaces and line breaks."""
    plain = unicodedata.normalize("NFKD", passage.title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall("[a-z0-9]+", plain)) or "passage"
    words = " ".join(f"{passage.title}\n{passage.text}".split())
    digest = hashlib.sha256(words.encode()).hexdigest()
    return f"{slug[:60]}-{digest[:8]}"


def published(task: Task[Any, Question]) -> tuple[str, ...]:
    """The published self-edits of a task, if it has any."""
    return task.published if isinstance(task, PassageTask) else ()
