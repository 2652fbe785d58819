"""Grading by words and by meaning: the lexical grader's evidence, weighed against a small local model's.

The model sees the question with the gold answer, the question with the prediction, and the question alone. What an answer
adds to its question is a difference of vectors; how alike the two differences are is the evidence. A logistic regression
weighs it against the words. Its weights are fitted to verdicts: those that come with it to GPT-4.1's on one half of the
questions (see docs/grading.md), those of another model by `fitted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seal_env.tasks.knowledge.answer_text import first_answer
from seal_env.tasks.knowledge.grader import Attempt
from seal_env.tasks.knowledge.lexical_grader import LexicalGrader
from seal_env.tasks.knowledge.text_embedder import TextEmbedder

MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
RIDGE: Final = 1.0
"""Penalty on the squared weights, but for the bias, when they are fitted."""

MAX_ITERATIONS: Final = 100


class Weights(NamedTuple):
    """An answer is right if bias + lexical * (0 or 1) + recall * (0 to 1) + similarity * (-1 to 1) is above 0."""

    bias: float
    lexical: float
    recall: float
    similarity: float


MINILM_WEIGHTS: Final = Weights(-2.934, 1.903, 2.394, 1.711)
"""Fitted for MODEL: `python benchmarks/graders.py VERDICTS --fit`."""


class SemanticGrader:
    """See the module and Grader. Deterministic on one machine."""

    def __init__(self, model: str = MODEL, device: str = "auto", weights: Weights = MINILM_WEIGHTS) -> None:
        """model: a Hugging Face id or a local directory of an encoder. Raises ModelError, SettingError for the device."""
        self.embedder, self.weights = TextEmbedder(model, device), weights
        self._lexical = LexicalGrader()

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader. Raises nothing."""
        return self.grade_all([Attempt(question, gold, prediction)])[0]

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader. Each text is embedded once."""
        return verdicts_by(self.weights, self.features(attempts))

    def features(self, attempts: Sequence[Attempt]) -> NDArray[np.float64]:
        """[attempts, 4]: what each of `Weights` multiplies, in its order; the first is 1."""
        words = [self._lexical.weigh(*attempt) for attempt in attempts]
        table = [(1.0, float(each.right), each.recall) for each in words]
        return np.column_stack([np.array(table).reshape(-1, 3), self._similarities(attempts)])

    def fitted(self, attempts: Sequence[Attempt], verdicts: Sequence[bool]) -> Weights:
        """The weights by which this model agrees best with verdicts. Raises ValueError unless there are both kinds."""
        return fitted_weights(self.features(attempts), verdicts)

    def _similarities(self, attempts: Sequence[Attempt]) -> NDArray[np.float64]:
        """Cosine of what the two answers add to the question; 0 where one adds nothing."""
        asked = [attempt.question.strip() for attempt in attempts]
        meant = [f"{question} {each.gold}".strip() for question, each in zip(asked, attempts, strict=True)]
        answers = [first_answer(attempt.prediction, attempt.question) for attempt in attempts]
        said = [f"{question} {answer}".strip() for question, answer in zip(asked, answers, strict=True)]
        texts = list(dict.fromkeys((*asked, *meant, *said)))
        vectors, row = self.embedder.embed(texts), {text: number for number, text in enumerate(texts)}
        base_A, gold_A, prediction_A = (vectors[[row[text] for text in part]] for part in (asked, meant, said))
        return _cosines(gold_A - base_A, prediction_A - base_A)


def _cosines(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    products: NDArray[np.float64] = (one * other).sum(axis=1)
    cosines = np.zeros_like(products)
    np.divide(products, lengths, out=cosines, where=lengths > 1e-9)
    return cosines


def verdicts_by(weights: Weights, features: NDArray[np.float64]) -> list[bool]:
    """What `weights` make of [attempts, 4] features."""
    return [bool(score > 0) for score in features @ np.array(weights)]


def fitted_weights(features: NDArray[np.float64], verdicts: Sequence[bool]) -> Weights:
    """Weights by which [attempts, 4] features agree best with verdicts. Raises ValueError unless there are both kinds."""
    if len(set(verdicts)) < 2:
        raise ValueError("verdicts of both kinds are needed to fit weights")
    return Weights(*map(float, logistic_regression(features, verdicts)))


def cross_fitted(features: NDArray[np.float64], verdicts: Sequence[bool], folds: Sequence[int]) -> list[bool]:
    """Verdicts on each fold by weights that are fitted to the other folds.

    features: [attempts, 4]. folds: the number of each attempt's fold. Raises ValueError as `fitted_weights` does.
    """
    fold, said = np.asarray(folds), np.zeros(len(verdicts), dtype=bool)
    for number in sorted(set(folds)):
        others = fold != number
        weights = fitted_weights(features[others], [right for right, other in zip(verdicts, others, strict=True) if other])
        said[~others] = verdicts_by(weights, features[~others])
    return [bool(each) for each in said]


def logistic_regression(features: ArrayLike, verdicts: Sequence[bool]) -> NDArray[np.float64]:
    """Weights for each column by Newton's method; the first column is the bias, on which there is no penalty.

    Raises ValueError if they do not settle.
    """
    x, y = np.asarray(features, dtype=float), np.asarray(verdicts, dtype=float)
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    weights = np.zeros(x.shape[1])
    for _ in range(MAX_ITERATIONS):
        chance = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (y - chance) - penalty @ weights
        step = np.linalg.solve((x.T * (chance * (1 - chance))) @ x + penalty, slope)
        weights += step
        if np.abs(step).max() < 1e-10:
            return weights
    raise ValueError("the weights do not settle")
