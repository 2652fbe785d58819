"""`synthetic-train`, `synthetic-eval` and `synthetic-reworded` as task sets: passages are drawn when asked for, then kept.

`synthetic-reworded` has the passages of `synthetic-eval`, asked in wordings that the other two never use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard

import numpy as np

from seal_env.errors import SettingError
from seal_env.tasks.base import first, shuffled, unknown_task
from seal_env.tasks.knowledge.passage import PassageTask
from seal_env.tasks.knowledge.synthetic.draw import SyntheticPassage, capacity, draw_passage
from seal_env.tasks.knowledge.synthetic.names import Split

DEFAULT_COUNT = 100
SETS: dict[str, Split] = {"train": "train", "eval": "eval", "reworded": "eval"}
"""The split that the passages of each set come from."""
SYNTHETIC_ID = re.compile(r"synthetic-(train|eval|reworded)-(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,4})", re.ASCII)


@dataclass(frozen=True)
class SyntheticTaskset:
    """Some of the synthetic passages, by id, in order.

    Ids read synthetic-SET-SEED-INDEX and are a recipe, so `taskset["synthetic-eval-7-123"]` resolves although iteration does
    not come by it. No two passages of a set and seed share a name.
    """

    name: str
    task_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.task_ids)

    def __iter__(self) -> Iterator[PassageTask]:
        return map(draw, self.task_ids)

    def __getitem__(self, task_id: str) -> PassageTask:
        if not is_synthetic_id(task_id):
            where = (
                f"{self.name} (any synthetic-train-SEED-INDEX, synthetic-eval-SEED-INDEX or synthetic-reworded-SEED-INDEX)"
            )
            raise unknown_task(task_id, where, self.task_ids)
        return draw(task_id)

    def head(self, count: int) -> SyntheticTaskset:
        """The first `count` tasks, or all if there are fewer. Raises SettingError below 0."""
        return replace(self, task_ids=first(self.task_ids, count))

    def shuffle(self, seed: int) -> SyntheticTaskset:
        """The same tasks in an order that depends on the seed alone."""
        return replace(self, task_ids=shuffled(self.task_ids, seed))


def synthetic_taskset(name: str, which: str, count: int | None = None, seed: int = 0) -> SyntheticTaskset:
    """The first `count` tasks (100 if not said) of a set and seed. Raises SettingError if it has fewer."""
    most = capacity(SETS[which])
    if count is not None and count > most:
        raise SettingError("count", count, f"at most {most}: then names would have to occur twice; take another seed")
    numbers = range(DEFAULT_COUNT if count is None else count)
    return SyntheticTaskset(name, tuple(f"synthetic-{which}-{seed}-{index}" for index in numbers))


def is_synthetic_id(task_id: object) -> TypeGuard[str]:
    """True for synthetic-SET-SEED-INDEX, numbers written without leading zeros, if the set has such an index."""
    if not isinstance(task_id, str) or not (match := SYNTHETIC_ID.fullmatch(task_id)):
        return False
    return int(match[3]) < capacity(SETS[match[1]])


def synthetic_passage(task_id: str) -> SyntheticPassage:
    """The passage of an id for which `is_synthetic_id` holds, with the facts behind it."""
    _, which, seed, index = task_id.split("-")
    return draw_passage(SETS[which], int(seed), int(index))


@lru_cache(maxsize=4096)
def draw(task_id: str) -> PassageTask:
    """The task of an id for which `is_synthetic_id` holds."""
    _, which, seed, index = task_id.split("-")
    drawn = synthetic_passage(task_id)
    rng = np.random.default_rng([int(seed), int(index), *which.encode()])
    return PassageTask(task_id, drawn.passage, drawn.some_questions(rng, held_out=which == "reworded"))
