"""Custom task sets: the path of a file, or the example that comes with the package."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from seal_env.errors import UnknownTaskError
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.base import ListTaskset
from seal_env.tasks.custom.files import read_tasks
from seal_env.tasks.knowledge.grading.registry import GRADERS
from seal_env.tasks.pairs.task import Examples, Pair

EXAMPLE: Final = "example"
_COUNTED = re.compile(r"(.+):([1-9][0-9]{0,8})", re.DOTALL)


def load_custom(subset: str, count: int | None = None, bad_tasks: BadTasks = "error") -> ListTaskset[Examples, Pair]:
    """The tasks of a file.

    Args:
        subset: A path, or `example`; either also as NAME:COUNT, for the first COUNT tasks.
        count: Of tasks; None takes what `subset` says.
        bad_tasks: What becomes of malformed lines.

    Raises:
        UnknownTaskError: If there is no such file.
        TaskError: If it is malformed.
    """
    counted = _COUNTED.fullmatch(subset)
    name, said = (counted[1], int(counted[2])) if counted and not os.path.exists(subset) else (subset, None)
    path = Path(__file__).parent / "example.jsonl" if name == EXAMPLE else Path(name)
    if not os.path.isfile(path):  # which takes any text
        raise UnknownTaskError(f"no file {name!r}; expected a file of JSON lines, or {EXAMPLE!r}; each also as NAME:COUNT")
    tasks = read_tasks(path, subset, tuple(GRADERS), bad_tasks)
    most = said if count is None else count
    return tasks if most is None else tasks.head(most)
