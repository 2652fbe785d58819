"""The generated task sets `word-classes-train` and `word-classes-eval`: words of three classes under invented labels.

What a label stands for is only in the solved examples; a pretrained model knows the words, so it can generalise to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np

from seal_env.tasks.custom.words import LABELS, WORDS
from seal_env.tasks.generated import TaskGenerator
from seal_env.tasks.pairs.task import Examples, Pair, PairTask

ItemT = TypeVar("ItemT")

CLASSES, SHOWN, ASKED = 3, 3, 2
"""Classes of a task; words of each that are solved examples, and words that are queries."""


@lru_cache(maxsize=4096)
def _draw(which: str, seed: int, index: int) -> PairTask:
    rng = np.random.default_rng([seed, index, *which.encode()])
    names = sorted(WORDS[which])
    shown, asked = [], []
    for name, label in zip(_some(rng, names, CLASSES), _some(rng, LABELS[which], CLASSES), strict=True):
        pairs = [Pair(word, label) for word in _some(rng, WORDS[which][name], SHOWN + ASKED)]
        shown += pairs[:SHOWN]
        asked += pairs[SHOWN:]
    examples, queries = (tuple(_some(rng, pairs, len(pairs))) for pairs in (shown, asked))
    return PairTask(f"word-classes-{which}-{seed}-{index}", examples, queries)


def _some(rng: np.random.Generator, items: Sequence[ItemT], count: int) -> list[ItemT]:
    """`count` items in random order, none twice."""
    return [items[at] for at in rng.permutation(len(items))[:count]]


_ENDLESS: Final[dict[str, Callable[[], int] | None]] = dict.fromkeys(WORDS)
WORD_CLASSES: Final = TaskGenerator[Examples, Pair]("word-classes", _draw, _ENDLESS)
