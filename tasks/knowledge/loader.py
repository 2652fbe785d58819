"""Knowledge task sets by name, by task id and from files: the registry and `load_passages`."""

from __future__ import annotations

import difflib
import os
import re
from functools import partial
from pathlib import Path

from seal_env.errors import UnknownTaskError
from seal_env.tasks.bad_tasks import BadTasks
from seal_env.tasks.base import OWN, ListTaskset, Origin, TasksetEntry
from seal_env.tasks.knowledge.files import read_passages
from seal_env.tasks.knowledge.hub import SQUAD, read_squad
from seal_env.tasks.knowledge.passage import PassageTaskset
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC

TASKSETS: dict[str, TasksetEntry[PassageTaskset]] = {
    "synthetic": TasksetEntry("short for synthetic-train", partial(SYNTHETIC.taskset, "synthetic", "train"), origin=OWN),
    "synthetic-train": TasksetEntry(
        "100 generated passages about things that do not exist",
        partial(SYNTHETIC.taskset, "synthetic-train", "train"),
        origin=OWN,
    ),
    "synthetic-eval": TasksetEntry(
        "100 generated passages with names and facts that synthetic-train never has",
        partial(SYNTHETIC.taskset, "synthetic-eval", "eval"),
        origin=OWN,
    ),
    "synthetic-reworded": TasksetEntry(
        "the passages of synthetic-eval, with questions in held-out wordings",
        partial(SYNTHETIC.taskset, "synthetic-reworded", "reworded"),
        origin=OWN,
    ),
}
"""Task sets that need no network."""

ON_HUB = Origin(f"[{SQUAD}](https://huggingface.co/datasets/{SQUAD})", "CC-BY-SA-4.0")

HUB_TASKSETS: dict[str, TasksetEntry[PassageTaskset]] = {
    "squad-train": TasksetEntry(
        "the passages of SQuAD's training split, from the hub", lambda count: read_squad("train", count), True, ON_HUB
    ),
    "squad-validation": TasksetEntry(
        "the passages of SQuAD's validation split, from the hub", lambda count: read_squad("validation", count), True, ON_HUB
    ),
}
"""Task sets that are downloaded on first use."""

_COUNTED = re.compile(r"(.+):(?:([1-9][0-9]{0,8})-)?([1-9][0-9]{0,8})", re.DOTALL)


def load_passages(subset: str, bad_tasks: BadTasks = "error") -> PassageTaskset:
    """The task set that `subset` names.

    Args:
        subset: One of

            - a name of `TASKSETS` or `HUB_TASKSETS`; the synthetic sets have 100 passages by default;
            - the path of a file in SEAL's or in SQuAD's format, or of rows as `datasets` writes them. Write ./NAME for a
              path that reads like a name;
            - either as NAME:COUNT, for the first COUNT passages: `synthetic-eval:50`, `squad-validation:20`, `mine.json:9`;
              or as NAME:FIRST-LAST, for those passages, counted from 1: `mine.json:10-49`;
            - ids of synthetic passages (synthetic-SET-SEED-INDEX), separated by commas.
        bad_tasks: What becomes of malformed passages of a file.

    Raises:
        UnknownTaskError: It is none of these, or there is no passage FIRST.
        TaskError: A file is malformed, or the hub cannot be reached.
    """
    name, first, last = _name_and_range(subset)
    passages = _all_passages(name, last, subset, bad_tasks)
    if first == 1:
        return passages
    if first > len(passages):
        raise UnknownTaskError(
            f"no passages {subset!r}: there are {len(passages)} up to the last one, and none from {first} on"
        )
    return ListTaskset(subset, tuple(passages)[first - 1 :])


def _all_passages(name: str, count: int | None, subset: str, bad_tasks: BadTasks) -> PassageTaskset:
    known = TASKSETS | HUB_TASKSETS
    if name in known:
        return known[name](count)
    if ids := _synthetic_ids(subset):
        return ListTaskset(subset, tuple(SYNTHETIC[task_id] for task_id in ids))
    if name and os.path.exists(name):
        passages = read_passages(Path(name), name=subset, bad_tasks=bad_tasks)
        return passages if count is None else ListTaskset(subset, tuple(passages)[:count])
    close = difflib.get_close_matches(name, known, n=2)
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    raise UnknownTaskError(
        f"no passages {subset!r}{hint} There are {', '.join(known)} and the paths of files, each also as NAME:COUNT (from "
        f"1) or NAME:FIRST-LAST; and ids like synthetic-eval-0-7 with commas between"
    )


def is_synthetic(subset: str) -> bool:
    """Whether `load_passages` makes generated passages of `subset`, about things that do not exist."""
    return _name_and_range(subset)[0] in TASKSETS or bool(_synthetic_ids(subset))


def _name_and_range(subset: str) -> tuple[str, int, int | None]:
    """The name, and the first and the last passage of it, counted from 1; None is all that there are."""
    counted = _COUNTED.fullmatch(subset)
    if counted is None or os.path.exists(subset):
        return subset, 1, None
    return counted[1], int(counted[2] or 1), int(counted[3])


def _synthetic_ids(subset: str) -> list[str]:
    """The ids of synthetic passages that `subset` lists; none if one part of it is something else."""
    ids = [part.strip() for part in subset.split(",") if part.strip()]
    return ids if all(task_id in SYNTHETIC for task_id in ids) else []
