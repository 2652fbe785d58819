"""Tasks of pairs as a domain: how they are rendered for an agent and for a model; what decides on answers is passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from seal_env.panels import Panel
from seal_env.tasks.answer_panels import answer_panels
from seal_env.tasks.knowledge.prompt import ONE_LINE, question_and_answer, question_text
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.tasks.text_metrics import text_metrics
from seal_env.types import Answer, Document, Evaluation, Example, Query, Task

BRIEFING: Final = (
    "The task is a few solved examples of one kind of problem. The test inputs are further problems of this kind. They stay "
    "hidden, and so do their answers. The model learns from documents; all tokens of a document carry loss, whatever the "
    "strategy."
)
LINES: Final = r"[^\n]+(?:\n[^\n]+)*"
"""Answers of several lines end before an empty one."""

Scorer = Callable[[Task[Examples, Pair], Sequence[str]], Sequence[float]]
"""(task, an answer for each query) -> a score in [0, 1] for each; 1 is right. Raises GraderError if that is unknown."""


@dataclass(frozen=True)
class PairsDomain:
    """Few-shot adaptation on text.

    Args:
        score_answers: Decides on answers.
        in_context: The solved examples are in the prompt of every query.
        learn_examples: The solved examples are training documents beside those of the self-edit.
        max_answer_tokens: Decoding stops there.
    """

    score_answers: Scorer
    in_context: bool = True
    learn_examples: bool = True
    max_answer_tokens: int = 64
    briefing: str = BRIEFING
    queries_depend_on_seed: bool = False

    def segments(self, context: Examples) -> tuple[Examples, ...]:
        """All examples at once."""
        return (context,)

    def render(self, segment: Examples) -> str:
        """The solved examples, as the agent reads them."""
        blocks = [f"{len(segment)} solved example{'s' if len(segment) != 1 else ''}."]
        blocks += [f"Example {number}\n{_solved(pair)}" for number, pair in enumerate(segment, 1)]
        return "\n\n".join(blocks)

    def as_data(self, segment: Examples) -> dict[str, Any]:
        """{"examples": [{"input", "output"}]}."""
        return {"examples": [{"input": pair.input, "output": pair.output} for pair in segment]}

    def title(self, segment: Examples) -> str:
        """Documents have no title."""
        return ""

    def source_text(self, segment: Examples) -> str:
        """The solved examples, by which copies of them are found."""
        return "\n\n".join(map(_solved, segment))

    def question_and_answer(self, question: str, answer: str) -> str:
        """A problem with its answer, as a query renders them."""
        return question_and_answer(question, answer)

    def leave_one_out(self, segment: Examples, orders: int, seed: int) -> tuple[str, ...]:
        """Documents that end with one example each, after the others in `orders` random orders."""
        rng = np.random.default_rng([seed, len(segment)])
        documents = []
        for index, last in enumerate(segment):
            others = [pair for other, pair in enumerate(segment) if other != index]
            for _ in range(orders):
                shown = [others[position] for position in rng.permutation(len(others))]
                documents.append("\n\n".join(map(_solved, [*shown, last])))
        return tuple(dict.fromkeys(documents))

    def add_default_examples(self, segment: Examples, candidates: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """The documents that tools made and, last, the solved examples; None if there is nothing."""
        if not self.learn_examples:
            return candidates
        return (*(candidates or ()), *(Document("", _solved(pair)) for pair in segment))

    def render_example(self, example: Document) -> Example:
        """A document as the model learns it."""
        return Example(document=example.rendered)

    def queries(self, task: Task[Examples, Pair], seed: int) -> tuple[Query, ...]:
        """Each problem, after the solved examples if they are in the prompt. The seed does not matter."""
        shown = [f"{_solved(pair)}\n\n" for pair in task.context] if self.in_context else []
        pattern = _pattern([pair.output for pair in (*task.context, *task.queries)])
        return tuple(
            Query(str(index), (), pair.output, pattern, self.max_answer_tokens, "".join(shown) + question_text(pair.input))
            for index, pair in enumerate(task.queries)
        )

    def score(self, task: Task[Examples, Pair], answers_Q: Sequence[Answer], seed: int) -> Evaluation:
        """Score answers: accuracy is the share of scores of 1, partial credit their mean.

        Raises:
            ValueError: If these are not the answers to `queries(task, seed)`, in order.
            GraderError: If it cannot be found out whether an answer is right.
        """
        if [answer.query_id for answer in answers_Q] != [str(index) for index in range(len(task.queries))]:
            raise ValueError(f"task {task.task_id}: these are not the answers to its queries")
        texts_Q = [None if answer.text is None else answer.text.strip() for answer in answers_Q]
        return self.score_predictions(task, [(text,) for text in texts_Q])

    def score_predictions(self, task: Task[Examples, Pair], predictions_Q: Sequence[tuple[str | None]]) -> Evaluation:
        """`score`, given the answer to each query; None if it was not decoded. Raises GraderError."""
        texts_Q = [text for (text,) in predictions_Q]
        scores_Q = list(self.score_answers(task, [text or "" for text in texts_Q]))
        right_Q, count = tuple(score == 1.0 for score in scores_Q), len(scores_Q)
        metrics = text_metrics(texts_Q, [(pair.output,) for pair in task.queries])
        return Evaluation(sum(right_Q) / count, sum(scores_Q) / count, tuple(predictions_Q), metrics, right_Q)

    def gold(self, task: Task[Examples, Pair]) -> tuple[str, ...]:
        """The answers to the queries."""
        return tuple(pair.output for pair in task.queries)

    def panels(self, task: Task[Examples, Pair], shown: Mapping[str, Evaluation | None] | None) -> list[list[Panel]]:
        """Rows of captioned texts: the solved examples, then each query with its predictions and its answer."""
        rows = [[Panel("input", pair.input), Panel("output", pair.output)] for pair in task.context]
        for index, pair in enumerate(task.queries):
            answers = [] if shown is None else answer_panels("prediction", index, shown, pair.output)
            rows.append([Panel("test input", pair.input), *answers])
        return rows


def _solved(pair: Pair) -> str:
    return question_and_answer(pair.input, pair.output)


def _pattern(outputs: Sequence[str]) -> str | None:
    """What every answer of a task matches, so that decoding can stop early; None if nothing does."""
    if all("\n" not in output for output in outputs):
        return ONE_LINE
    return None if any("\n\n" in output for output in outputs) else LINES
