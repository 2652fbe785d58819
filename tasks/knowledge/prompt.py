"""Prompts of questions: text that the model continues with its answer, so that models without chat training can answer."""

from __future__ import annotations

from seal_env.tasks.knowledge.passage import Question
from seal_env.types import Query

ONE_LINE = r"[^\n]*"
MAX_ANSWER_TOKENS = 64


def question_text(question: str) -> str:
    """The prompt of a question; the answer follows after a space."""
    return f"Question: {question.strip()}\nAnswer:"


def question_and_answer(question: str, answer: str) -> str:
    """A question with its answer, in the format of the prompt."""
    return f"{question_text(question)} {answer.strip()}"


def query(query_id: str, question: Question) -> Query:
    """A question without its passage. An answer is one line of at most MAX_ANSWER_TOKENS tokens."""
    return Query(query_id, (), question.answer, ONE_LINE, MAX_ANSWER_TOKENS, question_text(question.question))
