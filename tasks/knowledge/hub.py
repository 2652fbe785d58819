"""SQuAD from the Hugging Face hub, through the optional package `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from seal_env.errors import TaskError
from seal_env.tasks.base import ListTaskset
from seal_env.tasks.knowledge.files import join, squad_passage, squad_question
from seal_env.tasks.knowledge.passage import PassageTask, PassageTaskset, passage_id

SQUAD = "rajpurkar/squad"


def read_squad(
    split: Literal["train", "validation"], count: int | None = None, name: str | None = None, repository: str = SQUAD
) -> PassageTaskset:
    """The passages of a split, or its first `count`, each with all its questions.

    Args:
        split: Of SQuAD.
        count: Number of passages; None for all.
        name: Of the task set.
        repository: A dataset on the hub, or a local folder, with SQuAD's columns (title, context, question, answers).

    Raises:
        TaskError: `datasets` is not installed, or the dataset cannot be loaded.
    """
    name = name or f"squad-{split}"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise TaskError(
            f"{name}: needs the package datasets: pip install 'seal-env[squad]', or give a file of SQuAD"
        ) from error
    try:
        rows = load_dataset(repository, split=split)
    except OSError as error:
        raise TaskError(f"{name}: {repository} cannot be loaded: {error}; give a file of SQuAD instead") from error
    return ListTaskset(name, join(map(_task, cast(Iterable[Mapping[str, Any]], rows)))[:count])


def _task(row: Mapping[str, Any]) -> PassageTask:
    passage = squad_passage(row["title"], row["context"])
    return PassageTask(passage_id(passage), passage, (squad_question(row["question"], row["answers"]["text"]),))
