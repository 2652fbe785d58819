"""What a knowledge task is by its content: the same passage, or the same questions with the same answers."""

from __future__ import annotations

import re
from typing import Any, Final

from seal_env.tasks.content import Parts, digest, digest_of_all, spaced, words
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.types import Task

LONG: Final = 10
"""Words of a sentence from which on two passages do not have it by chance."""
SENTENCE_ENDS: Final = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s*+|\n")


def content(task: Task[Any, Question]) -> list[str]:
    """Digests of each passage's words and of all questions, whatever their case and white space."""
    asked = [digest_of_all("questions", map(_spaced, task.queries))] if task.queries else []
    return [*(digest("passage", words(passage.text)) for passage in _passages(task)), *asked]


def parts(task: Task[Any, Question]) -> Parts:
    """Digests of each question with its answer, and of each sentence of LONG words or more: the queries ask about both."""
    sentences = [words(each) for passage in _passages(task) for each in SENTENCE_ENDS.split(passage.text)]
    found = [digest("sentence", each) for each in sentences if each.count(" ") + 1 >= LONG]
    asked = frozenset([*found, *(digest("question", _spaced(query)) for query in task.queries)])
    return Parts(asked, asked)


def _passages(task: Task[Any, Question]) -> list[Passage]:
    return [task.context] if isinstance(task.context, Passage) else list(task.context)


def _spaced(query: Question) -> tuple[str, str]:
    return spaced(query.question), spaced(query.answer)
