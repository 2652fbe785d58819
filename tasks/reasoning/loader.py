"""Reasoning task sets by name."""

from __future__ import annotations

import difflib
import re
from functools import partial
from typing import Final

from seal_env.errors import UnknownTaskError
from seal_env.tasks.base import ListTaskset, Origin, TasksetEntry
from seal_env.tasks.generated import GeneratedTaskset
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.tasks.reasoning.generators import SETS, generator_names, reasoning_taskset
from seal_env.types import Task, Taskset

EXAMPLES, QUERIES = 8, 4
SHOWN: Final = ("chain_sum", "gcd", "letter_counting", "number_sequence", "spell_backward", "syllogism")
"""Generators that lists of task sets show; every safe generator can be named."""
ORIGIN: Final = Origin("drawn by [reasoning-gym](https://github.com/open-thought/reasoning-gym)", "Apache-2.0")

_SUBSET = re.compile(r"([a-z0-9_]+?)(?:-(train|eval))?(?::([1-9][0-9]{0,8}))?")
_TASK_ID = re.compile(r"([a-z0-9_]+)-(train|eval)-(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})")


def _entry(generator: str, which: str) -> TasksetEntry[GeneratedTaskset[Examples, Pair]]:
    load = partial(reasoning_taskset, f"{generator}-{which}", generator, which, EXAMPLES, QUERIES)
    return TasksetEntry(f"generated problems of reasoning-gym's {generator}", lambda count: load(count), origin=ORIGIN)


TASKSETS: Final = {f"{generator}-{which}": _entry(generator, which) for generator in SHOWN for which in SETS}


def load_reasoning(subset: str, examples: int, queries: int) -> Taskset[Examples, Pair]:
    """The task set that `subset` names.

    Args:
        subset: GENERATOR, GENERATOR-train or GENERATOR-eval, each also as NAME:COUNT; or task ids
            (GENERATOR-SET-SEED-INDEX) with commas between.
        examples: Solved examples of a task.
        queries: Queries of a task.

    Raises:
        UnknownTaskError: For a generator that does not exist, or whose verifier would run the answer as code.
        MissingExtraError: Where reasoning-gym is not installed.
    """
    known = generator_names()
    ids = [part.strip() for part in subset.split(",")]
    if all(_TASK_ID.fullmatch(each) for each in ids):
        return ListTaskset(subset, tuple(_by_id(each, examples, queries, known) for each in ids))
    match = _SUBSET.fullmatch(subset)
    if match is None or match[1] not in known:
        raise _unknown(subset, known)
    count = int(match[3]) if match[3] else None
    return reasoning_taskset(subset, match[1], match[2] or "train", examples, queries, count)


def _by_id(task_id: str, examples: int, queries: int, known: tuple[str, ...]) -> Task[Examples, Pair]:
    match = _TASK_ID.fullmatch(task_id)
    if match is None or match[1] not in known:
        raise _unknown(task_id, known)
    return reasoning_taskset(task_id, match[1], match[2], examples, queries, 1)[task_id]


def _unknown(subset: str, known: tuple[str, ...]) -> UnknownTaskError:
    name = subset.partition("-")[0].partition(":")[0]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"; did you mean {' or '.join(close)}? " if close else ": "
    return UnknownTaskError(
        f"no reasoning tasks {subset!r}{hint}expected GENERATOR, GENERATOR-train or GENERATOR-eval, each also as "
        f"NAME:COUNT (from 1), where GENERATOR is one of {', '.join(known)}"
    )
