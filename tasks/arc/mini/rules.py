"""`mini`: small ARC-like tasks made on the fly, for fast experiments, for tests, and to train the bundled model.

A rule family with its parameters is a rule instance, named by its key ("crop/0/1x2/none+tile/2x2/none"). A hash of what
it does puts the instance into the train or the eval split, so the splits share no rule; grids are drawn anew for each task.
Tasks are of `MINI_FAMILIES`; the bundled model is trained on `TRAINING_FAMILIES`. Every task is a function of (split,
seed, index) alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seal_env.errors import SettingError
from seal_env.tasks.arc.grid import Array, Grid, GridPair, to_grid
from seal_env.tasks.arc.mini.composed_rules import MINI_FAMILIES, PRACTICE_FAMILIES
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.rule import Rng, RuleInstance, Split
from seal_env.tasks.arc.mini.table_rules import TABLE_FAMILIES
from seal_env.types import Task

TRAINING_FAMILIES: dict[str, Callable[[Rng], RuleInstance]] = GENERAL_FAMILIES | TABLE_FAMILIES | PRACTICE_FAMILIES
"""What the bundled model is trained on."""
FAMILIES = TRAINING_FAMILIES | MINI_FAMILIES

PATIENCE = 5000
"""Rules drawn before `draw_task` gives up."""


@dataclass(frozen=True)
class Shape:
    """Limits of one task's grids. max_side bounds inputs and outputs; the inputs are between min_side and max_side."""

    max_side: int = 4
    min_side: int = 2


def family_of(key: str) -> str:
    """The family of a rule instance, from its key."""
    return "-".join(part.split("/")[0] for part in key.split("+"))


def _draw_input(instance: RuleInstance, size: tuple[int, int], rng: Rng) -> Array:
    palette = [*instance.colours, *rng.choice(np.arange(1, 10), size=int(rng.integers(2, 5)), replace=False)]
    array = rng.choice(instance.palette or palette, size=size).astype(np.int8)
    array[rng.random(size) < instance.background] = 0
    return instance.prepare(array, rng)


def draw_pairs(instance: RuleInstance, count: int, shape: Shape, rng: Rng, patience: int = 400) -> list[GridPair] | None:
    """`count` pairs with different inputs, not all left as they are; None if the shape does not allow it."""

    def size_of() -> tuple[int, int]:
        if instance.size is not None:
            return instance.size
        rows, columns = rng.integers(shape.min_side, shape.max_side + 1, size=2).tolist()
        return rows, columns

    size = size_of()
    same_size = rng.random() < 0.7
    found: dict[Grid, Grid] = {}
    for attempt in range(patience):
        if not same_size or (not found and attempt % 8 == 7):
            size = size_of()
        array = _draw_input(instance, size, rng)
        if not instance.suits(array):
            continue
        output = instance.apply(array)
        if min(output.shape) > 0 and max(output.shape) <= shape.max_side:
            found[to_grid(array)] = to_grid(output)
        if len(found) == count:
            pairs = [GridPair(*item) for item in found.items()]
            return pairs if any(pair.input != pair.output for pair in pairs) and instance.fair(pairs) else None
    return None


def draw_task(
    rng: Rng,
    split: Split,
    shape: Shape | None = None,
    families: tuple[str, ...] = tuple(MINI_FAMILIES),
    demonstrations: tuple[int, int] = (3, 4),
) -> tuple[RuleInstance, list[GridPair]]:
    """A rule instance of `split` and its pairs: `demonstrations` (from, to), inclusive, and one more as the query.

    Raises SettingError if the family that is drawn seems to have no rule of this split that suits the shape.
    """
    family = families[int(rng.integers(len(families)))]
    for _ in range(PATIENCE):
        instance = FAMILIES[family](rng)
        if instance.split != split:
            continue
        count = int(rng.integers(demonstrations[0], demonstrations[1] + 1)) + 1
        pairs = draw_pairs(instance, count, shape or Shape(), rng)
        if pairs is not None:
            return instance, pairs
    raise SettingError("families", family, f"families with rules of the {split} split that suit {shape or Shape()}")


def mini_task(split: Split, seed: int, index: int) -> tuple[str, Task[tuple[GridPair, ...], GridPair]]:
    """Task `index` of a split and the key of its rule. Task ids read mini-SPLIT-SEED-INDEX."""
    if split not in ("train", "eval"):
        raise SettingError("split", split, "'train' or 'eval'")
    rng = np.random.default_rng([seed, index, int(split == "eval")])
    instance, pairs = draw_task(rng, split)
    task_id = f"mini-{split}-{seed}-{index}"
    return instance.key, Task(task_id, tuple(pairs[:-1]), (pairs[-1],))
