"""Knowledge as a domain: a passage for the agent, questions without it for the model, a grader for the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from seal_env.panels import Panel
from seal_env.tasks.answer_panels import answer_panels
from seal_env.tasks.knowledge.grading.base import Attempt, Grader
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.tasks.knowledge.prompt import query, question_and_answer
from seal_env.tasks.text_metrics import text_metrics, word_f1
from seal_env.types import Answer, Document, Evaluation, Example, Query, Task

BRIEFING = (
    "The task is a passage, which the model learns from documents that you write about it. Afterwards it is asked questions "
    "without the passage, the test inputs. They stay hidden, and so do their answers. All tokens of a document carry loss, "
    "whatever the strategy."
)


@dataclass(frozen=True)
class KnowledgeDomain:
    """Tasks of knowledge incorporation. learn_passage: the passage itself is one of the documents."""

    grader: Grader
    learn_passage: bool = True
    briefing: str = BRIEFING
    queries_depend_on_seed: bool = False

    def segments(self, context: Passage | tuple[Passage, ...]) -> tuple[Passage, ...]:
        """One passage after the other."""
        return context if isinstance(context, tuple) else (context,)

    def render(self, segment: Passage) -> str:
        """Title and text, as the agent reads them."""
        return f"{segment.title}\n{segment.text}"

    def as_data(self, segment: Passage) -> dict[str, Any]:
        """{"title", "text"}."""
        return {"title": segment.title, "text": segment.text}

    def add_default_examples(self, segment: Passage, candidates: tuple[Document, ...] | None) -> tuple[Document, ...] | None:
        """What is learned from, given what tools made: these documents and, last, the passage; None if there is nothing."""
        if not self.learn_passage:
            return candidates
        return (*(candidates or ()), Document(segment.title, segment.text))

    def render_example(self, example: Document) -> Example:
        """A document as the model learns it."""
        return Example(document=example.rendered)

    def title(self, segment: Passage) -> str:
        """The passage's title."""
        return segment.title

    def source_text(self, segment: Passage) -> str:
        """The passage's text."""
        return segment.text

    def question_and_answer(self, question: str, answer: str) -> str:
        """A question with its answer, in the words in which the model is queried."""
        return question_and_answer(question, answer)

    def queries(self, task: Task[Passage, Question], seed: int) -> tuple[Query, ...]:
        """Each question as it is, without the passage. The seed does not matter."""
        return tuple(query(str(number), question) for number, question in enumerate(task.queries))

    def score(self, task: Task[Passage, Question], answers_Q: Sequence[Answer], seed: int) -> Evaluation:
        """Accuracy: share of questions whose answer the grader takes for right. Partial: mean F1 of words.

        Raises ValueError if these are not the answers to `queries(task, seed)`, in order, and GraderError if the grader
        cannot tell.
        """
        if [answer.query_id for answer in answers_Q] != [str(number) for number in range(len(task.queries))]:
            raise ValueError(f"task {task.task_id}: these are not the answers to its questions")
        texts_Q = [None if answer.text is None else answer.text.strip() for answer in answers_Q]
        return self.score_predictions(task, [(text,) for text in texts_Q])

    def score_predictions(self, task: Task[Passage, Question], predictions_Q: Sequence[tuple[str | None]]) -> Evaluation:
        """`score`, given the answer to each question; None if it was not decoded. Raises GraderError."""
        texts_Q = [text for (text,) in predictions_Q]
        pairs = list(zip(task.queries, texts_Q, strict=True))
        right_Q = self._right(pairs)
        words_Q = [0.0 if text is None else max(word_f1(text, gold) for gold in question.golds) for question, text in pairs]
        count = len(pairs)
        metrics = text_metrics(texts_Q, [question.golds for question in task.queries])
        return Evaluation(sum(right_Q) / count, sum(words_Q) / count, tuple(predictions_Q), metrics, tuple(right_Q))

    def _right(self, pairs: Sequence[tuple[Question, str | None]]) -> list[bool]:
        """For each question, whether its answer agrees with one of the gold answers; all are graded in one call.

        The same text does not answer questions whose gold answers share no word.
        """
        attempts, askers = [], []
        for index, (question, text) in enumerate(pairs):
            if text is not None:
                attempts += [Attempt(question.question, gold, text) for gold in question.golds]
                askers += [index] * len(question.golds)
        right = {index for index, verdict in zip(askers, self.grader.grade_all(attempts), strict=True) if verdict}
        right -= {index for group in _repeated(pairs, right) for index in group}
        return [index in right for index in range(len(pairs))]

    def gold(self, task: Task[Passage, Question]) -> tuple[str, ...]:
        """The gold answers."""
        return tuple(question.answer for question in task.queries)

    def panels(self, task: Task[Passage, Question], shown: Mapping[str, Evaluation | None] | None) -> list[list[Panel]]:
        """The passage, then each question, with its predictions and its gold answer."""
        rows = [[Panel(passage.title, passage.text)] for passage in self.segments(task.context)]
        for index, question in enumerate(task.queries):
            answers = [] if shown is None else answer_panels("answer", index, shown, question.answer)
            rows.append([Panel("question", question.question), *answers])
        return rows


def _repeated(pairs: Sequence[tuple[Question, str | None]], right: Set[int]) -> Iterator[list[int]]:
    """Right answers in the same words to questions whose gold answers share no word: such a text answers everything."""
    groups: dict[str, list[int]] = {}
    for index in sorted(right):
        groups.setdefault(normalise(pairs[index][1] or ""), []).append(index)
    for group in groups.values():
        golds = [set(normalise(pairs[index][0].answer).split()) for index in group]
        if any(one.isdisjoint(other) for one, other in combinations(golds, 2)):
            yield group
