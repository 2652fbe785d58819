"""`seal-env reproduce continual`: sequences of tasks learned for good, and what is left of each, as tables and pictures.

Every sequence of every agent is a line of a journal in the folder: what was killed goes on with the same command.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from seal_env.agents.context import AgentContext
from seal_env.agents.registry import get_agent, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.wrappers.forgetting_gate import ForgettingGate
from seal_env.episodes.retention import RetentionMatrix
from seal_env.errors import SettingError
from seal_env.experiments.run_folder import begin_or_resume, package_versions
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.model.device import describe_device
from seal_env.intervals import bootstrap
from seal_env.journal import Journal, write_whole
from seal_env.report.result_tables import continual_table
from seal_env.report.retention_plot import draw_retention


@dataclass(frozen=True)
class ContinualRun:
    """What is measured. agents: by name, each on the same sequences. measure, limit: of a gate; None is no gate.

    sequences: how many; each begins where the one before it ended in the task set. options: of the agents; each gets those
    that it has.
    """

    environment: Mapping[str, Any]
    agents: tuple[str, ...]
    sequences: int
    seed: int
    out: Path
    measure: str | None = None
    limit: float = 0.1
    options: Mapping[str, Any] = field(default_factory=dict)


def reproduce_continual(run: ContinualRun, console: Console) -> dict[str, Any]:
    """The table; what table.json holds. Raises SealError; what is finished stays in the folder."""
    env = _environment(run)
    seal = env.unwrapped
    assert isinstance(seal, SealContinualEnv)
    used = seal.settings
    most = len(seal.taskset) // used.sequence
    if not 1 <= run.sequences <= most:
        legal = f"1 to {most}: {used.subset!r} has {len(seal.taskset)} tasks, {used.sequence} for each sequence"
        raise SettingError("sequences", run.sequences, legal)
    begin_or_resume(run.out, _settings(run, seal))
    rows: dict[str, Any] = {}
    for name in run.agents:
        own = {option: run.options[option] for option in get_agent(name).options.model_fields if option in run.options}
        agent = make_agent(name, AgentContext.of(env, run.seed), **own)
        journal = Journal(run.out / f"{name}.jsonl")
        done = {record["number"] for record in journal.read()}
        for number in range(run.sequences):
            if number in done:
                continue
            with console.status(f"{name}: sequence {number + 1} of {run.sequences}"):
                agent.seed(run.seed + number)
                first = seal.taskset.task_ids[number * used.sequence]
                trajectory = run_episode(env, agent, first, run.seed + number)
            if trajectory.truncated:
                console.print(f"{name}, sequence {number}: {trajectory.info['reason']}", style="yellow", markup=False)
                continue
            journal.append(_record(number, trajectory.info, [turn.info for turn in trajectory.turns]))
        rows[name] = summarise(journal.read())
        draw_retention(rows[name]["retention"], name, run.out / f"retention-{name}.png")
    table = {"sequences": run.sequences, "tasks": used.sequence, "rows": rows}
    write_whole(run.out / "table.json", json.dumps(table, indent=1))
    console.print(continual_table(table))
    console.print(f"written   {run.out}", soft_wrap=True, markup=False)
    return table


def _environment(run: ContinualRun) -> gymnasium.Env[str, str]:
    env = gymnasium.make("SEAL-Continual-v0", disable_env_checker=True, **{"max_turns": 1, **run.environment})
    return env if run.measure is None else ForgettingGate(env, run.measure, run.limit)


def _settings(run: ContinualRun, seal: SealContinualEnv) -> dict[str, dict[str, Any]]:
    device = resolve_device(seal.settings.device)
    about = {"command": "reproduce continual", "agents": ",".join(run.agents), "sequences": run.sequences, "seed": run.seed}
    return {
        "run": {**about, "measure": run.measure, "limit": run.limit},
        "environment": seal.settings.flat() | {"device": device},
        "agent_options": dict(run.options),
        "machine": {"device": describe_device(device)},
        "versions": package_versions(),
    }


def _record(number: int, last: Mapping[str, Any], infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "number": number,
        "sequence": last["sequence"],
        "retention": last["retention"],
        "outcomes": [info["outcome"] for info in infos],
        "merged": [bool(info.get("merged")) for info in infos],
        "forgetting": [info.get("forgetting") for info in infos],
    }


def summarise(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over sequences: the mean retention matrix, and means with intervals of what it says; nothing without a sequence.

    before: the base model on all tasks. new: on each task just after it was learned. end: on all tasks after the last one.
    forgetting, backward_transfer: see RetentionMatrix. merged: share of the updates that were merged.
    """
    if not records:
        return {"sequences": 0, "retention": []}
    matrices = [RetentionMatrix(tuple(each["sequence"]), [tuple(row) for row in each["retention"]]) for each in records]
    values = {
        "before": [_mean(matrix.rows[0]) for matrix in matrices],
        "new": [_mean([matrix.rows[k + 1][k] for k in range(matrix.updates)]) for matrix in matrices],
        "end": [matrix.seen() for matrix in matrices],
        "forgetting": [matrix.forgetting() for matrix in matrices],
        "backward_transfer": [matrix.backward_transfer() for matrix in matrices],
        "merged": [_mean([float(merged) for merged in each["merged"]]) for each in records],
    }
    mean = [
        [_mean_known([matrix.rows[row][task] for matrix in matrices]) for task in range(len(matrices[0].task_ids))]
        for row in range(len(matrices[0].rows))
    ]
    intervals = {name: bootstrap(found)._asdict() for name, found in values.items()}
    return {"sequences": len(records), "retention": mean, **intervals}


def _mean(scores: Sequence[float | None]) -> float:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else math.nan


def _mean_known(scores: Sequence[float | None]) -> float | None:
    return None if any(score is None for score in scores) else _mean(scores)
