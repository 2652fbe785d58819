"""What a knowledge task is made of: its context is a passage, its queries are questions with gold answers."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

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

    answer: the gold answer. alternatives: other answers that count as right, without `answer`. kind, where it is known:
    `direct` names what it is about and asks for a fact, `reversed` gives the fact and asks for the name, `indirect`
    describes what it is about by another fact.
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
    """A passage and its questions. published: self-edits that others wrote for this passage, as their file gives them."""

    published: tuple[str, ...] = ()


PassageTaskset = Taskset[Passage, Question]


def passage_id(passage: Passage) -> str:
    """An id such as "martin-luther-5f3a9c21": equal for equal titles and texts, whatever their spaces and line breaks."""
    plain = unicodedata.normalize("NFKD", passage.title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall("[a-z0-9]+", plain)) or "passage"
    words = " ".join(f"{passage.title}\n{passage.text}".split())
    digest = hashlib.sha256(words.encode()).hexdigest()
    return f"{slug[:60]}-{digest[:8]}"


def published(task: Task[Passage, Question]) -> tuple[str, ...]:
    """The self-edits that came with a task; none unless it is a PassageTask that has some."""
    return task.published if isinstance(task, PassageTask) else ()
