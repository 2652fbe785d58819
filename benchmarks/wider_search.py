"""What a search gains from the tool `recipe`: `python -m benchmarks.wider_search [--set passages|mini --seeds N]`.

The same search (Optuna's TPE, equal numbers of episodes) chooses a self-edit for each task twice: among the default tools of
the environment, and with `recipe` beside them, which chooses batch size, optimizer, schedule, weight decay, rank and layers.
The reward of the chosen self-edit is measured with seeds that did not choose it; means over seeds and tasks with 95 %
bootstrap intervals, and the paired difference by task. Every eight tasks are stored in a folder beside the JSON file, from
which a run that was stopped continues.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from rich.table import Table

from benchmarks.common import make_parser, new_document, percent, show, write
from seal_env.agents.search.budget import SearchBudget
from seal_env.agents.search.per_task import SearchResult, search_tasks
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import UpdateError
from seal_env.journal import Journal
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.settings import Settings


class TaskSet(NamedTuple):
    """Tasks, and the tools that a self-edit has there by default."""

    settings: Mapping[str, Any]
    tools: tuple[str, ...]


SETS: Final = {
    "passages": TaskSet({"domain": "knowledge", "subset": "synthetic-eval:20"}, ("training", "finetune")),
    "mini": TaskSet({"domain": "arc", "subset": "mini-eval:30", "max_examples": 16}, ("augment", "training", "finetune")),
}
ROWS: Final = ("default tools", "with recipe")


def search(
    settings: Mapping[str, Any], tools: Sequence[str], budget: SearchBudget, seed: int, folder: Path
) -> list[SearchResult]:
    """The best self-edit of every task; what is in the folder's journal is not searched again."""
    runtime = Runtime(Settings.resolve(**settings, tools=list(tools), reward="accuracy", max_turns=1))
    runtime.load()
    journal = Journal(folder / f"{'-'.join(tools)}-seed-{seed}.jsonl")
    report = f"{', '.join(tools)}; seed {seed}: {{}} of {len(runtime.taskset) * budget.episodes} self-edits"
    found = search_tasks(
        runtime,
        SealEnv(runtime=runtime).action_space,
        budget,
        seed,
        journal,
        lambda done: print(report.format(done), flush=True),
    )
    if failed := sum(each.failed for each in found):
        raise UpdateError(
            f"{failed} of {len(found)} searches had infrastructure failures: rerun the command to try them again"
        )
    return found


def chosen(found: Sequence[SearchResult]) -> dict[str, list[Any]]:
    """What the best self-edits chose in `recipe`, by field."""
    values: dict[str, list[Any]] = {}
    for each in found:
        calls = parse_or_read(each.self_edit)
        for call in calls if isinstance(calls, tuple) else ():
            if call.name == "recipe":
                for name, value in call.arguments.items():
                    values.setdefault(name, []).append(value)
    return values


def in_words(values: Sequence[Any]) -> str:
    """How often each choice was made; the median and the range of numbers."""
    if all(isinstance(value, str | bool) for value in values):
        return ", ".join(f"{value} {count}" for value, count in Counter(map(str, values)).most_common())
    return f"median {np.median(values):.3g}, {min(values):.3g} to {max(values):.3g}"


def by_task(found: Sequence[Sequence[SearchResult]]) -> dict[str, float]:
    """Mean reward by task, over seeds."""
    rewards: dict[str, list[float]] = {}
    for each in (each for seed in found for each in seed if not math.isnan(each.reward)):
        rewards.setdefault(each.task_id, []).append(each.reward)
    return {task_id: float(np.mean(mine)) for task_id, mine in rewards.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Search with both tool sets, show and write what they reach."""
    parser = make_parser(__doc__, "wider-search")
    parser.add_argument("--set", choices=SETS, default="passages", help="which tasks")
    parser.add_argument("--subset", help="other tasks of the same domain")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions of all searches, from --seed on")
    for name, value in {"trials": 16, "width": 8, "finalists": 4, "repeats": 2, "fresh": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help="of the search, see SearchBudget")
    given: argparse.Namespace = parser.parse_args(arguments)
    document = new_document(given)
    tasks = SETS[given.set]
    settings = {**tasks.settings, **({"subset": given.subset} if given.subset else {})}
    budget = SearchBudget(**{name: getattr(given, name) for name in SearchBudget.model_fields})
    tools = dict(zip(ROWS, (tasks.tools, (*tasks.tools[:-1], "recipe", tasks.tools[-1])), strict=True))
    found: dict[str, list[list[SearchResult]]] = {row: [] for row in ROWS}
    for seed in range(given.seed, given.seed + given.seeds):  # seed by seed, so that a run that is stopped has both rows
        for row, searched in found.items():
            searched.append(search(settings, tools[row], budget, seed, given.json.with_suffix("")))
    rewards = {row: by_task(searched) for row, searched in found.items()}
    narrow, wide = (rewards[row] for row in ROWS)
    gain = {task_id: wide[task_id] - reward for task_id, reward in narrow.items()}
    recipes = chosen([each for seed in found[ROWS[1]] for each in seed])
    table = Table("tools", "accuracy", "gain")
    table.add_row(ROWS[0], percent(narrow.values()), "")
    table.add_row(ROWS[1], percent(wide.values()), percent(gain.values()))
    write(given.json, document | {"rewards": rewards, "gain": gain, "recipes": recipes})
    show(given.json, document, [table, *(f"{name}: {in_words(values)}" for name, values in recipes.items())])


if __name__ == "__main__":
    main()
