"""Measures of answers in free text, shown beside accuracy: an update that is right by saying much shows in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from seal_env.tasks.knowledge.grading.exact_match import normalise

WORD_F1: Final = "word_f1"
ANSWER_WORDS: Final = "answer_words"

TEXT_METRICS: Final[Mapping[str, float]] = {WORD_F1: 0.0, ANSWER_WORDS: math.nan}
"""Mean F1 of words and mean length of the answers in words, and what each counts after a mistake; nan: nothing."""


def text_metrics(texts_Q: Sequence[str | None], golds_Q: Sequence[Sequence[str]]) -> dict[str, float]:
    """The measures in `TEXT_METRICS`; none of them unless every answer was decoded.

    Args:
        texts_Q: The answer to each query; None if it was not decoded.
        golds_Q: The answers to each query that are right.
    """
    said_Q = [text for text in texts_Q if text is not None]
    if len(said_Q) < len(texts_Q):
        return {}
    f1_Q = [max(word_f1(text, gold) for gold in golds) for text, golds in zip(said_Q, golds_Q, strict=True)]
    words_Q = [len(text.split()) for text in said_Q]
    return {WORD_F1: sum(f1_Q) / len(f1_Q), ANSWER_WORDS: sum(words_Q) / len(words_Q)}


def word_f1(prediction: str, gold: str) -> float:
    """Harmonic mean of the shares of words that are in the other text too (SQuAD, arXiv 1606.05250), in [0, 1].

    A gold answer without words, such as an article or a sign alone, agrees with itself only, never with an empty answer.
    """
    said, meant = Counter(normalise(prediction).split()), Counter(normalise(gold).split())
    if not meant:
        return float(prediction.strip().lower() == gold.strip().lower())
    return 2 * (said & meant).total() / (said.total() + meant.total())
