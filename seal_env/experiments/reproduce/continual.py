"""`seal-env reproduce continual`: sequences of tasks learned one after another, and how much of each is retained.

Every sequence of every agent is a line of a journal in the run folder. Resumable: rerun the same command.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium
from rich.console import Console

from seal_env.agents.context import AgentContext
from seal_env.agents.registry import get_agent, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.domains.registry import get_domain
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.wrappers.forgetting_gate import ForgettingGate
from seal_env.episodes.retention import RetentionMatrix
from seal_env.errors import MissingExtraError, SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.open_run import OpenRun, open_run
from seal_env.experiments.run_folder import with_cache_file
from seal_env.experiments.settings import ContinualSettings
from seal_env.intervals import bootstrap
from seal_env.journal import Journal, write_whole
from seal_env.report.progress import Progress
from seal_env.report.result_tables import continual_table
from seal_env.report.retention_plot import draw_retention
from seal_env.report.work import Work


def reproduce_continual(settings: ContinualSettings, config: ExperimentConfig, console: Console) -> dict[str, Any]:
    """Measure how much of a sequence of tasks several agents retain.

    Args:
        settings: The agents, the sequences and the gate.
        config: The environment, the options of the agents (each gets those that it has) and the run folder.
        console: Where progress and the table are shown.

    Returns:
        The content of table.json.

    Raises:
        SealError: Finished sequences stay in the folder.
    """
    run = {"command": "reproduce continual", **settings.model_dump()}
    given = {"max_turns": 1, "subset": get_domain(config.environment["domain"]).held_out, **config.overrides}
    with open_run(config, run, console, config.options, **{"decode": None, **given}) as opened:
        config = opened.config
        env = _environment(settings, config, given)
        try:
            return _measure(settings, config, env, opened, console)
        finally:
            env.close()


def _measure(
    settings: ContinualSettings, config: ExperimentConfig, env: gymnasium.Env[str, str], opened: OpenRun, console: Console
) -> dict[str, Any]:
    seal = env.unwrapped
    assert isinstance(seal, SealContinualEnv)
    length, ids = seal.settings.sequence, seal.taskset.task_ids
    most = len(ids) // length
    if not 1 <= settings.sequences <= most:
        legal = f"1 to {most}: {seal.settings.subset!r} has {len(ids)} tasks, {length} for each sequence"
        raise SettingError("sequences", settings.sequences, legal)
    opened.begin(seal.runtime)
    rows: dict[str, Any] = {}
    with Progress(console, Work(dict.fromkeys(settings.agents, settings.sequences)), "sequences") as progress:
        for name in settings.agents:
            rows[name] = summarise(_sequences(name, settings, config, env, console, progress))
            try:
                draw_retention(rows[name]["retention"], name, config.out / f"retention-{name}.png")
            except MissingExtraError as error:
                console.print(f"no picture of {name}: {error}", style="yellow", markup=False)
    table = {"sequences": settings.sequences, "tasks": length, "rows": rows}
    write_whole(config.out / "table.json", json.dumps(table, indent=1))
    config.show(continual_table(table), console)
    opened.finish(sum(settings.sequences - row["sequences"] for row in rows.values()))
    return table


def _environment(settings: ContinualSettings, config: ExperimentConfig, given: Mapping[str, Any]) -> gymnasium.Env[str, str]:
    env = gymnasium.make(config.env, disable_env_checker=True, **with_cache_file(given, config.out))
    return env if settings.gate is None else ForgettingGate(env, settings.gate, settings.limit)


def _sequences(
    name: str,
    settings: ContinualSettings,
    config: ExperimentConfig,
    env: gymnasium.Env[str, str],
    console: Console,
    progress: Progress,
) -> list[dict[str, Any]]:
    """The records of one agent's sequences, after those that the journal lacks have been run."""
    seal = env.unwrapped
    assert isinstance(seal, SealContinualEnv)
    options = {option: config.options[option] for option in get_agent(name).options.model_fields if option in config.options}
    agent = make_agent(name, AgentContext.of(env, settings.seed), **options)
    journal = Journal(config.out / f"{name}.jsonl")
    done = set(journal.read_as(lambda record: record["number"]))
    progress.begin(name, name, settings.sequences, len(done))
    missing = [number for number in range(settings.sequences) if number not in done]
    for ended, number in enumerate(missing, len(done) + 1):
        agent.seed(settings.seed + number)
        first = seal.taskset.task_ids[number * seal.settings.sequence]
        trajectory = run_episode(env, agent, first, settings.seed + number)
        progress.reach(ended)
        if trajectory.truncated:
            console.print(f"{name}, sequence {number}: {trajectory.info['reason']}", style="yellow", markup=False)
            continue
        infos = [turn.info for turn in trajectory.turns]
        journal.append(_record(number, trajectory.info, infos, seal.runtime.spec.metrics))
    return journal.read()


def _record(
    number: int, last: Mapping[str, Any], infos: Sequence[Mapping[str, Any]], metrics: Iterable[str]
) -> dict[str, Any]:
    before = [0, *(info["position"] for info in infos)]
    updates = [info for info, position in zip(infos, before, strict=False) if info["position"] > position]
    measured = {f"new_{name}": _mean([info[f"new_{name}"] for info in updates]) for name in metrics}
    measured |= {f"end_{name}": _mean([last[f"seen_{name}"]]) for name in metrics}
    return {
        "number": number,
        "sequence": last["sequence"],
        "retention": last["retention"],
        "outcomes": [info["outcome"] for info in infos],
        "merged": [bool(info.get("merged")) for info in infos],
        "forgetting": [info.get("forgetting") for info in infos],
        "metrics": {name: value for name, value in measured.items() if not math.isnan(value)},
    }


def summarise(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Aggregate the sequences of one agent.

    Args:
        records: Lines of the agent's journal.

    Returns:
        `sequences`, their number; `retention`, the mean matrix; and means over sequences with intervals: `before`, the base
        model's score on all tasks; `new`, the score on each task just after it was learned; `end`, the score on all tasks
        after the last one; `forgetting` and `backward_transfer`, see RetentionMatrix; `merged`, the share of updates that
        were merged; `metrics`, the domain's further measures after each update on its own task (`new`) and after the last
        one on all tasks (`end`). Without a sequence, the first two alone.
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
    names = dict.fromkeys(name for each in records for name in each.get("metrics", {}))
    measured = {name: [each["metrics"][name] for each in records if name in each.get("metrics", {})] for name in names}
    metrics = {name: bootstrap(values)._asdict() for name, values in measured.items()}
    return {"sequences": len(records), "retention": mean, **intervals, "metrics": metrics}


def _mean(scores: Sequence[float | None]) -> float:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else math.nan


def _mean_known(scores: Sequence[float | None]) -> float | None:
    return None if any(score is None for score in scores) else _mean(scores)
