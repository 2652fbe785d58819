"""Custom task sets: the path of a file, the example that comes with the package, and generated word classes."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Final

from seal_env.errors import UnknownTaskError
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.base import OWN, ListTaskset, TasksetEntry
from seal_env.tasks.custom.files import read_tasks
from seal_env.tasks.custom.word_classes import WORD_CLASSES
from seal_env.tasks.generated import GeneratedTaskset
from seal_env.tasks.knowledge.grading.registry import GRADERS
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.types import Taskset

EXAMPLE: Final = "example"
TASKSETS: Final[dict[str, TasksetEntry[GeneratedTaskset[Examples, Pair]]]] = {
    "word-classes-train": TasksetEntry(
        "words of three classes under invented labels",
        partial(WORD_CLASSES.taskset, "word-classes-train", "train"),
        origin=OWN,
    ),
    "word-classes-eval": TasksetEntry(
        "the same with words, classes and labels that word-classes-train never has",
        partial(WORD_CLASSES.taskset, "word-classes-eval", "eval"),
        origin=OWN,
    ),
}
"""Generated task sets, of 100 tasks by default."""
_COUNTED = re.compile(r"(.+):([1-9][0-9]{0,8})", re.DOTALL)


def load_custom(subset: str, count: int | None = None, bad_tasks: BadTasks = "error") -> Taskset[Examples, Pair]:
    """The task set that `subset` names.

    Args:
        subset: A path, `example` or a name of `TASKSETS`; each also as NAME:COUNT, for the first COUNT tasks. Or ids of
            generated tasks (word-classes-SET-SEED-INDEX), separated by commas.
        count: Of tasks; None takes what `subset` says.
        bad_tasks: What becomes of malformed lines of a file.

    Raises:
        UnknownTaskError: It is none of these.
        TaskError: If a file is malformed.
    """
    counted = _COUNTED.fullmatch(subset)
    name, said = (counted[1], int(counted[2])) if counted and not os.path.exists(subset) else (subset, None)
    most = said if count is None else count
    if name in TASKSETS:
        return TASKSETS[name](most)
    ids = [part.strip() for part in subset.split(",")]
    if all(each in WORD_CLASSES for each in ids):
        return ListTaskset(subset, tuple(WORD_CLASSES[each] for each in ids))
    path = Path(__file__).parent / "example.jsonl" if name == EXAMPLE else Path(name)
    if not os.path.isfile(path):  # which takes any text
        known = " or ".join(map(repr, (EXAMPLE, *TASKSETS)))
        raise UnknownTaskError(f"no file {name!r}; expected a file of JSON lines, {known}; each also as NAME:COUNT (from 1)")
    tasks = read_tasks(path, subset, tuple(GRADERS), bad_tasks)
    return tasks if most is None else tasks.head(most)
