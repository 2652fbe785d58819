"""What a sequence keeps of the tasks that it has learned, so that a later update can rehearse it.

Kept are the documents that were trained on, as they were: what the agent wrote and what the domain added, never a query and
never an answer to one that the agent did not write itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seal_env.self_edits.compile import FilteredExamples
from seal_env.tools.base import Rehearse
from seal_env.types import Example


@dataclass(frozen=True)
class LearnedTask:
    """A task whose update was merged.

    Attributes:
        task_id: The task.
        examples_E: What was trained on, without what was rehearsed.
        lengths_E: Their lengths in tokens.
    """

    task_id: str
    examples_E: tuple[Example, ...]
    lengths_E: tuple[int, ...]


@dataclass(frozen=True)
class Rehearsal:
    """The earlier tasks of a sequence, in the order in which they were learned; their numbers count from 1."""

    tasks: tuple[LearnedTask, ...] = ()

    def with_task(self, task_id: str, own: FilteredExamples) -> Rehearsal:
        """With one more task. own: what its update was trained on beside what it rehearsed."""
        return Rehearsal((*self.tasks, LearnedTask(task_id, own.examples_E, own.lengths_E)))

    def choose(self, wishes: Sequence[Rehearse], most: int, seed: int) -> FilteredExamples:
        """The documents that a self-edit rehearses.

        Args:
            wishes: The calls of `rehearse`, in order.
            most: Limit on the number of documents that are rehearsed; of more, some are left out at random.
            seed: Of the draw.
        """
        rng = np.random.default_rng(seed)
        chosen: list[tuple[Example, int]] = []
        for number, share in sorted(self._shares(wishes).items()):
            task = self.tasks[number - 1]
            count = round(share * len(task.examples_E))
            drawn = sorted(rng.permutation(len(task.examples_E))[:count].tolist())
            chosen += [(task.examples_E[index], task.lengths_E[index]) for index in drawn]
        if len(chosen) > most:
            chosen = [chosen[index] for index in sorted(rng.permutation(len(chosen))[:most].tolist())]
        return FilteredExamples(tuple(example for example, _ in chosen), tuple(length for _, length in chosen))

    def _shares(self, wishes: Sequence[Rehearse]) -> Mapping[int, float]:
        """The share of each task by its number."""
        every = range(1, len(self.tasks) + 1)
        return {number: wish.share for wish in wishes for number in wish.tasks or every if number in every}

    def as_data(self) -> list[dict[str, Any]]:
        """What there is of each task and what all of it costs in an epoch, for `info`."""
        return [
            {"number": number, "task_id": task.task_id, "documents": len(task.examples_E), "tokens": sum(task.lengths_E)}
            for number, task in enumerate(self.tasks, 1)
        ]

    def render(self, most: int) -> str:
        """What the prompt says of it. most: limit on the number of documents that are rehearsed."""
        each = (f"{task['number']} ({task['documents']} documents, {task['tokens']} tokens)" for task in self.as_data())
        return (
            f"Earlier tasks: {', '.join(each) or 'none yet'}. At most {most} of their documents are rehearsed, beside the "
            f"examples of this task; their optimizer steps and training tokens count like those of the others."
        )
