"""Prove a knowledge task without a model: its golds stand in the passage, its questions do not, and scoring is sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seal_env.tasks.knowledge.grading.exact_match import exact_match, normalise
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.types import Task


def validate(task: Task[Passage, Question], spans: bool = True) -> list[str]:
    """What is wrong with a task, in words; an empty list if nothing is. spans: golds must be parts of the passage."""
    problems = [*_parts(task)]
    for index, question in enumerate(task.queries):
        where = f"question {index}"
        problems += (f"{where}: {problem}" for problem in _question(task.context, question, spans))
    return problems


def validate_all(tasks: Iterable[Task[Passage, Question]], spans: bool = True) -> dict[str, list[str]]:
    """Task id -> what is wrong, for the tasks of a set that something is wrong with. An id that comes twice is wrong too."""
    found: dict[str, list[str]] = {}
    seen = set()
    for task in tasks:
        problems = validate(task, spans)
        if task.task_id in seen:
            problems.append("another task has this id")
        seen.add(task.task_id)
        if problems:
            found.setdefault(task.task_id, []).extend(problems)
    return found


def _parts(task: Task[Passage, Question]) -> Iterator[str]:
    if not task.context.title.strip():
        yield "no title"
    if not task.context.text.strip():
        yield "no text"
    if not task.queries:
        yield "no question"


def _question(passage: Passage, question: Question, spans: bool) -> Iterator[str]:
    asked = normalise(question.question)
    if not asked:
        yield "nothing is asked"
    elif asked in normalise(f"{passage.title}\n{passage.text}"):
        yield "it stands in the passage"
    for gold in question.golds:
        if spans and gold not in passage.text:
            yield f"the answer {gold!r} is no part of the passage"
        if not exact_match(gold, question.golds):
            yield f"the answer {gold!r} does not count as right"
    for empty in ("", " ", "."):
        if exact_match(empty, question.golds):
            yield f"the answer {empty!r} counts as right"
