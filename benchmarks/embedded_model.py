"""What the bundled model can do: `python benchmarks/embedded_model.py [--parts ...] [--tasks N] [--edits K] [--json FILE]`.

Parts: `base` (`mini` before an update, five times as many tasks), `mini` and `arc` (before, and after each of K
random self-edits), `grid` (a fixed grid of self-edits on `mini`: how much the self-edit matters, and which switches
help which rule family), `policy` (self-edits that the model writes), `speed` (seconds of one self-edit), `prompt`
(tokens of prompts). All on tasks that training never saw, with 95 % bootstrap intervals over tasks. Finished tasks
are kept in the JSON file, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from embedded_policy import family_of, measure_policy, policy_table
from rich.console import Console
from rich.table import Table

import seal_env
from seal_env.agents.baselines.simple import NO_UPDATE, RandomAgent
from seal_env.agents.rollouts import run_episode
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.intervals import bootstrap
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair, to_grid
from seal_env.tasks.arc.prompt import example

PARTS = ("prompt", "policy", "base", "mini", "grid", "arc", "speed")
BASE_TASKS = 5
"""Tasks of the part `base` for each of `--tasks`: without updates they cost little."""
GROUPS = ("basic", "size", "chain", "repeat")
SWITCHES = {"none": "", "basic": "basic", "size": "size", "repeat": "repeat"}
RATES = (3e-5, 3e-4, 3e-3)
"""The ends and the middle of the range from which the action space draws."""
EPOCHS = 2
Row = dict[str, Any]


def grid_self_edits() -> dict[str, str]:
    """The fixed grid: which augmentation is on, times the learning rate; output tokens, two epochs."""
    edits = {}
    for name, switch in SWITCHES.items():
        for rate in RATES:
            augment = {f"use_{group}_augmentations": group == switch for group in GROUPS}
            training = {"strategy": "train_using_output_tokens", "learning_rate": rate, "num_train_epochs": EPOCHS}
            calls = [("augment", augment), ("training", training), ("finetune", {})]
            edits[f"{name} {rate:g}"] = json.dumps([{"name": tool, "arguments": given} for tool, given in calls])
    return edits


def measure_task(model: str, subset: str, task_id: str, self_edits: Sequence[str] | int, seed: int) -> Row:
    """Accuracies of one task: before, and after each self-edit, or each of a number of random ones. Runs in a worker."""
    torch.set_num_threads(1)
    count = self_edits if isinstance(self_edits, int) else len(self_edits)
    envs = gymnasium.make_vec("SEAL-ARC-v0", num_envs=count, subset=subset, model=model, max_turns=1, decode="never")
    began = time.perf_counter()
    observations, _ = envs.reset(seed=[seed] * count, options={"task_id": task_id})
    agent = RandomAgent(envs.single_action_space, seed)
    actions = [agent.act(text, {}) for text in observations] if isinstance(self_edits, int) else self_edits
    infos = envs.step(tuple(actions))[4]
    return {
        "task": task_id,
        "family": family_of(task_id) if task_id.startswith("mini") else "",
        "before": float(infos["accuracy_before"][0]),
        "after": [float(accuracy) for accuracy in np.nan_to_num(infos["accuracy_after"])],
        "self_edits": list(infos["self_edit"]),
        "outcomes": [str(outcome) for outcome in infos["outcome"]],
        "steps": [int(steps) for steps in infos["optimizer_steps"]],
        "seconds": round(time.perf_counter() - began, 2),
    }


def measure_base(model: str, tasks: int) -> list[float]:
    """Accuracy without an update, `mini` task by task."""
    envs = gymnasium.make_vec(
        "SEAL-ARC-v0", num_envs=tasks, subset=f"mini-eval:{tasks}", model=model, max_turns=1, decode="never"
    )
    envs.reset(seed=0, options={"task_ids": envs.get_attr("taskset")[0].task_ids})
    return [float(accuracy) for accuracy in envs.step((NO_UPDATE,) * tasks)[4]["accuracy_before"]]


def interval(values: Iterable[float]) -> str:
    """Mean over tasks and its 95 % bootstrap interval, in per cent."""
    return bootstrap(list(values)).percent()


def adaptation_table(parts: dict[str, list[Row]]) -> Table:
    """Before, mean and best of K for each task set; accuracy is the share of test inputs solved."""
    table = Table(
        "tasks", "number", "no update", "random self-edit", "best of K", "K", "solved by the best", "steps an edit"
    )
    for name, rows in parts.items():
        after = np.array([row["after"] for row in rows])
        table.add_row(
            name,
            str(len(rows)),
            interval(row["before"] for row in rows),
            interval(after.mean(axis=1)),
            interval(after.max(axis=1)),
            str(after.shape[1]),
            f"{int((after.max(axis=1) == 1).sum())} of {len(rows)}",
            f"{np.mean([np.mean(row['steps']) for row in rows]):.0f}",
        )
    return table


def quarter_gap(after: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Accuracy per task of the best and of the worst quarter of the grid's self-edits.

    Which they are is decided on the other half of the tasks, so that chance is not counted as a difference. after:
    [tasks, self-edits].
    """
    best, worst = np.zeros(len(after)), np.zeros(len(after))
    quarter = max(1, after.shape[1] // 4)
    for half in (0, 1):
        order = after[1 - half :: 2].mean(axis=0).argsort()
        best[half::2] = after[half::2][:, order[-quarter:]].mean(axis=1)
        worst[half::2] = after[half::2][:, order[:quarter]].mean(axis=1)
    return best, worst


def grid_tables(rows: list[Row]) -> list[Table]:
    """The grid's self-edits over all tasks; the switches by rule family, at the two higher rates."""
    after = np.array([row["after"] for row in rows]).reshape(len(rows), len(SWITCHES), len(RATES))
    best, worst = quarter_gap(after.reshape(len(rows), -1))
    title = f"best quarter {interval(best)}, worst {interval(worst)}, difference {interval(best - worst)}"
    overall = Table("augmentation", *(f"{rate:g}" for rate in RATES), title=title)
    for index, name in enumerate(SWITCHES):
        overall.add_row(name, *(interval(after[:, index, rate]) for rate in range(len(RATES))))
    families = Table(
        "rule family", "tasks", "no update", *SWITCHES, title=f"by family, mean of the rates {RATES[1]:g} and {RATES[2]:g}"
    )
    for family in sorted({row["family"] for row in rows}):
        mine = [index for index, row in enumerate(rows) if row["family"] == family]
        means = after[mine][:, :, 1:].mean(axis=(0, 2))
        before = np.mean([rows[index]["before"] for index in mine])
        families.add_row(family, str(len(mine)), f"{100 * before:.0f}", *(f"{100 * mean:.0f}" for mean in means))
    return [overall, families]


def switch_effect(rows: list[Row], switch: str) -> str:
    """Accuracy of random self-edits with a switch on minus with it off, points; a star if the interval leaves out 0.

    Differences are taken within tasks, the interval over them; empty if no task has both.
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
    mean, low, high = bootstrap([100 * effect for effect in effects])
    return f"{mean:+.0f} [{low:+.0f}, {high:+.0f}]{'*' if low > 0 or high < 0 else ''}"


def effects_table(rows: list[Row]) -> Table:
    """What each switch does to each rule family. By chance one cell in 20 has a star."""
    table = Table("rule family", "tasks", *GROUPS, title="random self-edits: switch on minus off, points of accuracy")
    for family in sorted({row["family"] for row in rows}):
        mine = [row for row in rows if row["family"] == family]
        table.add_row(family, str(len(mine)), *(switch_effect(mine, f"use_{group}_augmentations") for group in GROUPS))
    return table


def measure_speed(model: str, edits: int) -> Row:
    """Seconds of a `mini` self-edit with all cores, one after the other, model loaded: environment, update, evaluation."""
    env = gymnasium.make("SEAL-ARC-v0", subset="mini-eval:20", model=model, max_turns=1, cache="off")
    agent = RandomAgent(env.action_space, 0)
    run_episode(env, agent, seed=0)
    seconds = []
    for _ in range(edits):
        began = time.perf_counter()
        run_episode(env, agent)
        seconds.append(time.perf_counter() - began)
    return {
        "edits": edits,
        "mean_seconds": float(np.mean(seconds)),
        "longest": max(seconds),
        "threads": torch.get_num_threads(),
    }


def measure_prompts(model: str) -> Row:
    """Tokens of the two prompts with three demonstrations of 10x10 grids: to write a self-edit, to solve the task."""
    tokenizer = load_base_model(model, "cpu").tokenizer
    rng = np.random.default_rng(0)
    pairs = [GridPair(*(to_grid(rng.integers(10, size=(10, 10))) for _ in range(2))) for _ in range(4)]
    chat = [
        {"role": m.role, "content": m.content} for m in example(pairs[:3], pairs[3], ArcDomain("lettered").format).messages
    ]
    solving = tokenizer.apply_chat_template(chat, tokenize=False)
    env = gymnasium.make("SEAL-ARC-v0", subset="mini-eval:1", model=model, max_turns=1)
    writing = str(env.reset(seed=0)[0])
    domain = ArcDomain("lettered")
    own = domain.render(env.unwrapped.taskset[env.unwrapped.taskset.task_ids[0]].context)  # type: ignore[attr-defined]
    writing = writing.replace(own, domain.render(tuple(pairs[:3])))
    return {name: len(tokenizer(text)["input_ids"]) for name, text in (("solve", solving), ("write", writing))}


def measure_tasks(
    rows: list[Row], subset: str, model: str, seed: int, edits: Sequence[str] | int, workers: int, save: Callable[[], None]
) -> None:
    """Add what is missing to `rows`, tasks side by side in worker processes of one thread each."""
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
            print(
                f"{subset} {len(rows)}/{len(task_ids)} {rows[-1]['task']} {rows[-1]['before']} {rows[-1]['after']}",
                flush=True,
            )
    rows.sort(key=lambda row: task_ids.index(row["task"]))


class Benchmark:
    """The document that is written, and what fills it."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        self.document: dict[str, Any] = {
            "machine": machine,
            "versions": package_versions(),
            "model": given.model,
            "rows": {},
        }
        if given.json.exists():
            self.document = json.loads(given.json.read_text())
        given.json.parent.mkdir(parents=True, exist_ok=True)

    def save(self) -> None:
        """Write the document."""
        self.given.json.write_text(json.dumps(self.document, indent=1))

    def tasks(self, name: str, subset: str, edits: Sequence[str] | int) -> list[Row]:
        """The rows of a part, measured as far as they are missing."""
        rows: list[Row] = self.document["rows"].setdefault(name, [])
        measure_tasks(rows, subset, self.given.model, self.given.seed, edits, self.given.workers, self.save)
        return rows

    def run(self) -> list[Table]:
        """Measure the parts that are wanted; their tables."""
        given, mini = self.given, f"mini-eval:{self.given.tasks}"
        tables: list[Table] = []
        if "prompt" in given.parts:
            self.document["prompt_tokens"] = measure_prompts(given.model)
        if "base" in given.parts:
            accuracies = measure_base(given.model, BASE_TASKS * given.tasks)
            self.document["base"] = {"tasks": len(accuracies), "no update": interval(accuracies)}
        if "policy" in given.parts:
            self.document["policy"] = measure_policy(given.model, given.samples, given.seed)
            tables.append(policy_table(self.document["policy"]))
        subsets = [*([mini] if "mini" in given.parts else []), *(given.arc if "arc" in given.parts else [])]
        if subsets:
            rows = {subset: self.tasks(f"{subset} K={given.edits}", subset, given.edits) for subset in subsets}
            tables.append(adaptation_table(rows))
            tables += [effects_table(rows[subset]) for subset in subsets if subset == mini]
        if "grid" in given.parts:
            name = f"{mini} grid {' '.join(f'{rate:g}' for rate in RATES)}"
            tables += grid_tables(self.tasks(name, mini, list(grid_self_edits().values())))
        if "speed" in given.parts:
            self.document["speed"] = measure_speed(given.model, 20)
        self.save()
        return tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("runs/embedded-model.json"))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--tasks", type=int, default=100, help="mini tasks")
    parser.add_argument("--edits", type=int, default=16, help="random self-edits a task")
    parser.add_argument("--samples", type=int, default=400, help="self-edits sampled from the model")
    parser.add_argument("--arc", nargs="+", default=["seal-train", "seal-eval"], help="task sets of the part arc")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="seal-tiny")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    benchmark = Benchmark(parser.parse_args(arguments))
    tables, console = benchmark.run(), Console(width=150)
    console.print(
        f"seal-env {seal_env.__version__}, {benchmark.given.model}; accuracy in per cent, 95 % intervals over tasks"
    )
    for table in tables:
        console.print(table)
    console.print(
        {name: benchmark.document[name] for name in ("prompt_tokens", "base", "speed") if name in benchmark.document}
    )


if __name__ == "__main__":
    main()
