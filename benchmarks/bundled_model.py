"""What seal-tiny can do: `python -m benchmarks.bundled_model [--parts ...] [--tasks N] [--edits K] [--json FILE]`.

Parts: `base` (`mini` without an update, five times as many tasks), `mini` and `arc` (accuracy before, and after each of K
random self-edits), `grid` (a fixed grid of self-edits on `mini`: how much the self-edit matters), `policy` (self-edits that
the model writes), `speed` (seconds of one self-edit), `prompt` (tokens of prompts). All on tasks that training never saw,
with 95 % bootstrap intervals over tasks. Finished tasks are stored in the JSON file; rerun the command to resume.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.table import Table

from benchmarks.bundled_policy import measure_policy, policy_table, task_family
from benchmarks.common import Document, make_parser, new_document, percent, show, write
from seal_env.domains.arc import ARC
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.intervals import bootstrap
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair, to_grid
from seal_env.tasks.arc.prompt import example

PARTS = ("prompt", "policy", "base", "mini", "grid", "arc", "speed")
BASE_TASKS, SPEED_EDITS = 5, 20
GROUPS = ("basic", "size", "chain", "repeat")
SWITCHES = ("none", "basic", "size", "repeat")
RATES = (3e-5, 3e-4, 3e-3)
"""The ends and the middle of the range from which the action space draws."""
Row = dict[str, Any]


def grid_self_edits() -> list[str]:
    """The fixed grid: which augmentation is on, times the learning rate; output tokens, two epochs."""
    edits = []
    for switch in SWITCHES:
        for rate in RATES:
            augment = {f"use_{group}_augmentations": group == switch for group in GROUPS}
            training = {"strategy": "train_using_output_tokens", "learning_rate": rate, "num_train_epochs": 2}
            calls = [("augment", augment), ("training", training), ("finetune", {})]
            edits.append(json.dumps([{"name": tool, "arguments": given} for tool, given in calls]))
    return edits


def measure_task(model: str, subset: str, task_id: str, self_edits: Sequence[str] | int, seed: int) -> Row:
    """Accuracies of one task: before, and after each self-edit, or each of a number of random ones. Runs in a worker."""
    torch.set_num_threads(1)
    count = self_edits if isinstance(self_edits, int) else len(self_edits)
    envs: Any = gymnasium.make_vec("SEAL-ARC-v0", num_envs=count, subset=subset, model=model, max_turns=1, decode="never")
    envs.reset(seed=[seed] * count, options={"task_id": task_id})
    envs.single_action_space.seed(seed)
    actions = [envs.single_action_space.sample() for _ in range(count)] if isinstance(self_edits, int) else self_edits
    infos = envs.step(tuple(actions))[4]
    return {
        "task": task_id,
        "family": task_family(task_id) if task_id.startswith("mini") else "",
        "before": float(infos["accuracy_before"][0]),
        "after": [float(accuracy) for accuracy in np.nan_to_num(infos["accuracy_after"])],
        "self_edits": list(infos["self_edit"]),
        "outcomes": [str(outcome) for outcome in infos["outcome"]],
        "steps": [int(steps) for steps in infos["optimizer_steps"]],
    }


def measure_tasks(
    rows: list[Row], subset: str, model: str, seed: int, edits: Sequence[str] | int, workers: int, save: Callable[[], None]
) -> list[Row]:
    """Add what is missing to `rows`, tasks in parallel in worker processes of one thread each."""
    task_ids = gymnasium.make("SEAL-ARC-v0", subset=subset, model=model).unwrapped.taskset.task_ids  # type: ignore[attr-defined]
    done = {row["task"] for row in rows}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(measure_task, model, subset, task_id, edits, seed + index)
            for index, task_id in enumerate(task_ids)
            if task_id not in done
        ]
        for future in as_completed(waiting):
            rows.append(future.result())
            save()
            print(f"{subset} {len(rows)}/{len(task_ids)} {rows[-1]['task']}", flush=True)
    rows.sort(key=lambda row: task_ids.index(row["task"]))
    return rows


def measure_base(model: str, tasks: int) -> list[float]:
    """Accuracy without an update, `mini` task by task."""
    given: dict[str, Any] = {"subset": f"mini-eval:{tasks}", "model": model, "max_turns": 1, "decode": "never"}
    envs: Any = gymnasium.make_vec("SEAL-ARC-v0", num_envs=tasks, **given)
    envs.reset(seed=0, options={"task_ids": envs.get_attr("taskset")[0].task_ids})
    return [float(accuracy) for accuracy in envs.step((ARC.no_update,) * tasks)[4]["accuracy_before"]]


def adaptation_table(parts: dict[str, list[Row]]) -> Table:
    """Before, mean and best of K for each task set; accuracy is the share of test inputs solved."""
    table = Table(
        "tasks", "number", "no update", "random self-edit", "best of K", "K", "solved by the best", "steps an edit"
    )
    for name, rows in parts.items():
        after = np.array([row["after"] for row in rows])
        scores = [percent(row["before"] for row in rows), percent(after.mean(axis=1)), percent(after.max(axis=1))]
        solved = f"{int((after.max(axis=1) == 1).sum())} of {len(rows)}"
        table.add_row(
            name, str(len(rows)), *scores, str(after.shape[1]), solved, f"{np.mean([row['steps'] for row in rows]):.0f}"
        )
    return table


def quarter_gap(after: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Accuracy per task of the best and of the worst quarter of the grid's self-edits.

    Which they are is decided on the other half of the tasks, so that chance does not count as a difference. after:
    [tasks, self-edits].
    """
    best, worst = np.zeros(len(after)), np.zeros(len(after))
    quarter = max(1, after.shape[1] // 4)
    for half in (0, 1):
        order = after[1 - half :: 2].mean(axis=0).argsort()
        best[half::2] = after[half::2][:, order[-quarter:]].mean(axis=1)
        worst[half::2] = after[half::2][:, order[:quarter]].mean(axis=1)
    return best, worst


def grid_table(rows: list[Row]) -> Table:
    """The grid's self-edits over all tasks."""
    after = np.array([row["after"] for row in rows])
    best, worst = quarter_gap(after)
    title = f"best quarter {percent(best)}, worst {percent(worst)}, difference {percent(best - worst)}"
    table = Table("augmentation", *(f"{rate:g}" for rate in RATES), title=title)
    for index, switch in enumerate(SWITCHES):
        table.add_row(switch, *(percent(column) for column in after[:, index * len(RATES) :][:, : len(RATES)].T))
    return table


def switch_effect(rows: list[Row], switch: str) -> str:
    """Accuracy of random self-edits with a switch on minus with it off, points; a star if the interval excludes 0.

    Differences are taken within tasks, the interval over them if there are several; empty if no task has both.
    """
    effects = []
    for row in rows:
        after: dict[bool, list[float]] = {True: [], False: []}
        for calls, accuracy in zip(row["self_edits"], row["after"], strict=True):
            after[calls[0]["arguments"][switch]].append(accuracy)
        if all(after.values()):
            effects.append(np.mean(after[True]) - np.mean(after[False]))
    if not effects:
        return ""
    found = bootstrap([float(effect) for effect in effects])
    low, high = found.low or 0.0, found.high or 0.0
    return f"{found.text('+.0f', 100)}{'*' if low > 0 or high < 0 else ''}"


def effects_table(rows: list[Row]) -> Table:
    """The effect of each switch by rule family. By chance one cell in 20 has a star."""
    table = Table("rule family", "tasks", *GROUPS, title="random self-edits: switch on minus off, points of accuracy")
    for family in sorted({row["family"] for row in rows}):
        mine = [row for row in rows if row["family"] == family]
        table.add_row(family, str(len(mine)), *(switch_effect(mine, f"use_{group}_augmentations") for group in GROUPS))
    return table


def measure_speed(model: str) -> Row:
    """Seconds of a `mini` self-edit, one after the other, model loaded: environment, update, evaluation."""
    env = gymnasium.make("SEAL-ARC-v0", subset=f"mini-eval:{SPEED_EDITS}", model=model, max_turns=1, cache="off")
    env.action_space.seed(0)
    seconds = []
    for edit in range(SPEED_EDITS + 1):  # the first one loads the model
        began = time.perf_counter()
        env.reset(seed=0 if edit == 0 else None)
        env.step(env.action_space.sample())
        seconds.append(time.perf_counter() - began)
    return {"mean_seconds": float(np.mean(seconds[1:])), "longest": max(seconds[1:]), "threads": torch.get_num_threads()}


def measure_prompts(model: str) -> Row:
    """Tokens of the two prompts with three demonstrations of 10x10 grids: to write a self-edit, to solve the task."""
    tokenizer, domain, rng = load_base_model(model, "cpu").tokenizer, ArcDomain("lettered"), np.random.default_rng(0)
    pairs = [GridPair(*(to_grid(rng.integers(10, size=(10, 10))) for _ in range(2))) for _ in range(4)]
    messages = example(pairs[:3], pairs[3], domain.format).messages
    chat = [{"role": message.role, "content": message.content} for message in messages]
    env = gymnasium.make("SEAL-ARC-v0", subset="mini-eval:1", model=model, max_turns=1)
    taskset = env.unwrapped.taskset  # type: ignore[attr-defined]
    own, large = (domain.render(context) for context in (taskset[taskset.task_ids[0]].context, tuple(pairs[:3])))
    writing = str(env.reset(seed=0)[0]).replace(own, large)
    texts = {"solve": tokenizer.apply_chat_template(chat, tokenize=False), "write": writing}
    return {name: len(tokenizer(text)["input_ids"]) for name, text in texts.items()}


def run(given: argparse.Namespace, document: Document) -> list[Table | str]:
    """Measure the chosen parts; their tables."""
    mini, tables, notes = f"mini-eval:{given.tasks}", list[Table | str](), dict[str, Any]()

    def rows_of(name: str, subset: str, edits: Sequence[str] | int) -> list[Row]:
        rows: list[Row] = document["rows"].setdefault(name, [])
        save = lambda: write(given.json, document)  # noqa: E731
        return measure_tasks(rows, subset, given.model, given.seed, edits, given.workers, save)

    if "prompt" in given.parts:
        notes["prompt_tokens"] = measure_prompts(given.model)
    if "base" in given.parts:
        notes["base"] = percent(measure_base(given.model, BASE_TASKS * given.tasks))
    if "policy" in given.parts:
        document["policy"] = measure_policy(given.model, given.samples, given.seed)
        tables.append(policy_table(document["policy"]))
    subsets = [*([mini] if "mini" in given.parts else []), *(given.arc if "arc" in given.parts else [])]
    if subsets:
        rows = {subset: rows_of(f"{subset} K={given.edits}", subset, given.edits) for subset in subsets}
        tables += [adaptation_table(rows), *(effects_table(rows[subset]) for subset in subsets if subset == mini)]
    if "grid" in given.parts:
        tables.append(grid_table(rows_of(f"{mini} grid", mini, grid_self_edits())))
    if "speed" in given.parts:
        notes["speed"] = measure_speed(given.model)
    document |= notes
    return [*tables, *(f"{name}: {value}" for name, value in notes.items())]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = make_parser(__doc__, "bundled-model")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--tasks", type=int, default=100, help="mini tasks")
    parser.add_argument("--edits", type=int, default=16, help="random self-edits a task")
    parser.add_argument("--samples", type=int, default=400, help="self-edits sampled from the model")
    parser.add_argument("--arc", nargs="+", default=["seal-train", "seal-eval"], help="task sets of the part arc")
    parser.add_argument("--model", default="seal-tiny")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    document = new_document(given) | {"rows": {}}
    if given.json.exists():
        document = json.loads(given.json.read_text())
    tables = run(given, document)
    write(given.json, document)
    show(given.json, document, tables)


if __name__ == "__main__":
    main()
