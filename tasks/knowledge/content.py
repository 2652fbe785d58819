"""What a knowledge task is by its content: the same passage, or the same questions with the same answers."""

from __future__ import annotations

from typing import Any

from seal_env.tasks.content import digest, digest_of_all, spaced, words
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.types import Task


def content(task: Task[Any, Question]) -> list[str]:
    """Digests of each passage's words and of all questions, whatever their case and white space."""
    passages = [task.context] if isinstance(task.context, Passage) else list(task.context)
    questions = [(spaced(query.question), spaced(query.answer)) for query in task.queries]
    asked = [digest_of_all("questions", questions)] if questions else []
    return [*(digest("passage", words(passage.text)) for passage in passages), *asked]
