"""ARC tasks on which an update of a model shows: `python -m benchmarks.solvable_tasks [--side 10 --cells 200]`.

Of the small tasks of a set, those that one self-edit solves and the base model does not.
SEAL chose its tasks likewise, by what its model can learn (arXiv 2506.10943).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from rich.table import Table

from benchmarks.common import make_parser, new_document, show, write
from seal_env.agents.baselines.fixed import FixedAgent
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.domains.arc import self_edit
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.settings import Settings
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.task import ArcTask

IN_CALL: Final = 9
"""Tasks whose updates train together."""
SELF_EDIT: Final = self_edit(basic=True, learning_rate=1e-3, epochs=3)


def small(tasks: Sequence[ArcTask], side: int, cells: int) -> list[ArcTask]:
    """Choose the small tasks of a set.

    Args:
        tasks: The set.
        side: Most rows or columns of a grid, test pairs included.
        cells: Most cells of all demonstrations.

    Returns:
        Those with the fewest cells first.
    """

    def count(task: ArcTask) -> int:
        return sum(len(grid) * len(grid[0]) for pair in task.context for grid in pair)

    fitting = [
        task
        for task in tasks
        if count(task) <= cells
        and all(max(len(grid), len(grid[0])) <= side for pair in (*task.context, *task.queries) for grid in pair)
    ]
    return sorted(fitting, key=lambda task: (count(task), task.task_id))


def accuracies(task_ids: Sequence[str], action: str, max_examples: int, seed: int) -> dict[str, tuple[float, float]]:
    """(accuracy before, accuracy after) the update by task; a self-edit that is a mistake leaves its task out."""
    runtime = Runtime(Settings.resolve(domain="arc", subset=",".join(task_ids), max_examples=max_examples, max_turns=1))
    runtime.load()
    starts, base = [Start(task_id, seed) for task_id in task_ids], BaseAnswerCache(len(task_ids))
    found = {}
    for at in range(0, len(starts), IN_CALL):
        for episode in run_episodes(runtime, FixedAgent(action), starts[at : at + IN_CALL], base):
            if episode.info.get("accuracy_after") is not None:
                found[episode.task_id] = episode.info["accuracy_before"], episode.info["accuracy_after"]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, show and write the tasks."""
    parser = make_parser(__doc__, "solvable-tasks")
    parser.add_argument("--subset", default="arc1-train")
    parser.add_argument("--side", type=int, default=10, help="most rows or columns of a grid")
    parser.add_argument("--cells", type=int, default=200, help="most cells of all demonstrations")
    parser.add_argument("--max-examples", type=int, default=16, help="examples of an update")
    parser.add_argument("--self-edit", default=SELF_EDIT, help="as JSON")
    given: argparse.Namespace = parser.parse_args(arguments)
    document = new_document(given)
    tasks = small(tuple(load_taskset(given.subset)), given.side, given.cells)
    found = accuracies([task.task_id for task in tasks], given.self_edit, given.max_examples, given.seed)
    gained = [task_id for task_id, (before, after) in found.items() if before < after == 1]
    table = Table("tasks", "solved before", "solved after", "gained")
    counts = [sum(each[index] == 1 for each in found.values()) for index in (0, 1)]
    table.add_row(str(len(found)), *map(str, counts), str(len(gained)))
    write(given.json, document | {"accuracies": found, "gained": gained})
    show(given.json, document, [table, ",".join(gained)])


if __name__ == "__main__":
    main()
