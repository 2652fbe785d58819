"""Knowledge task sets by name: the registry, and the one function that makes a task set of what a user writes."""

from __future__ import annotations

import difflib
import os
import re
from functools import partial
from pathlib import Path

from seal_env.errors import UnknownTaskError
from seal_env.tasks.base import ListTaskset, TasksetEntry
from seal_env.tasks.knowledge.files import read_passages
from seal_env.tasks.knowledge.hub import read_squad
from seal_env.tasks.knowledge.passage import PassageTaskset
from seal_env.tasks.knowledge.synthetic.taskset import draw, is_synthetic_id, synthetic_taskset

TASKSETS: dict[str, TasksetEntry[PassageTaskset]] = {
    "synthetic": TasksetEntry("short for synthetic-train", partial(synthetic_taskset, "synthetic", "train")),
    "synthetic-train": TasksetEntry(
        "100 generated passages about things that do not exist", partial(synthetic_taskset, "synthetic-train", "train")
    ),
    "synthetic-eval": TasksetEntry(
        "100 generated passages with names and facts that synthetic-train never has",
        partial(synthetic_taskset, "synthetic-eval", "eval"),
    ),
    "synthetic-reworded": TasksetEntry(
        "the passages of synthetic-eval, asked in wordings of their own",
        partial(synthetic_taskset, "synthetic-reworded", "reworded"),
    ),
}
"""What is there without a network."""

HUB_TASKSETS: dict[str, TasksetEntry[PassageTaskset]] = {
    "squad-train": TasksetEntry(
        "the passages of SQuAD's training split, from the hub", lambda count: read_squad("train", count)
    ),
    "squad-validation": TasksetEntry(
        "the passages of SQuAD's validation split, from the hub", lambda count: read_squad("validation", count)
    ),
}
"""What is fetched when it is asked for."""

_COUNTED = re.compile(r"(.+):([1-9][0-9]{0,8})", re.DOTALL)


def load_passages(subset: str) -> PassageTaskset:
    """The task set that `subset` names.

    - A name of `TASKSETS` or `HUB_TASKSETS`. The synthetic sets have 100 passages unless told otherwise.
    - The path of a file in SEAL's or in SQuAD's form. Write ./NAME for a path that reads like a name.
    - Either of them as NAME:COUNT, for the first COUNT passages: `synthetic-eval:50`, `squad-validation:20`, `mine.json:9`.
    - Ids of synthetic passages with commas between (synthetic-SET-SEED-INDEX).

    Raises UnknownTaskError if it is none of these, TaskError if a file is malformed or the hub cannot be reached.
    """
    counted = _COUNTED.fullmatch(subset)
    name, count = (counted[1], int(counted[2])) if counted and not os.path.exists(subset) else (subset, None)
    known = TASKSETS | HUB_TASKSETS
    if name in known:
        return known[name](count)
    ids = [part.strip() for part in subset.split(",") if part.strip()]
    if ids and all(map(is_synthetic_id, ids)):
        return ListTaskset(subset, tuple(map(draw, ids)))
    if name and os.path.exists(name):
        passages = read_passages(Path(name), name=subset)
        return passages if count is None else ListTaskset(subset, tuple(passages)[:count])
    close = difflib.get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UnknownTaskError(
        f"no passages {subset!r}; {hint}There are {', '.join(known)} and the paths of files, each also as NAME:COUNT; and "
        f"ids like synthetic-eval-0-7 with commas between"
    )
