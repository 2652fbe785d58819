"""The generated task sets `synthetic-train`, `synthetic-eval` and `synthetic-reworded`.

`synthetic-reworded` has the passages of `synthetic-eval`, with questions in wordings that the other two never use.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from seal_env.tasks.generated import TaskGenerator
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question
from seal_env.tasks.knowledge.synthetic.draw import SyntheticPassage, capacity, draw_passage
from seal_env.tasks.knowledge.synthetic.names import Split

SPLITS: dict[str, Split] = {"train": "train", "eval": "eval", "reworded": "eval"}
"""The split from which the passages of each set come."""


def synthetic_passage(task_id: str) -> SyntheticPassage:
    """The passage of a task, with the facts behind it.

    Raises:
        UnknownTaskError: No synthetic task has this id.
    """
    which, seed, index = SYNTHETIC.parse(task_id)
    return draw_passage(SPLITS[which], seed, index)


@lru_cache(maxsize=4096)
def _draw(which: str, seed: int, index: int) -> PassageTask:
    drawn = draw_passage(SPLITS[which], seed, index)
    rng = np.random.default_rng([seed, index, *which.encode()])
    questions = drawn.some_questions(rng, held_out=which == "reworded")
    return PassageTask(f"synthetic-{which}-{seed}-{index}", drawn.passage, questions)


SYNTHETIC = TaskGenerator[Passage, Question](
    "synthetic", _draw, {which: partial(capacity, split) for which, split in SPLITS.items()}
)
