"""`seal-env reproduce continual`: sequences of tasks learned one after another, and how much of each is retained.

Every sequence of every agent is a line of a journal in the run folder. Resumable: rerun the same command.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

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
from seal_env.experiments.reproduce.designs import Design
from seal_env.experiments.run_folder import with_cache_file
from seal_env.experiments.settings import ContinualSettings
from seal_env.intervals import bootstrap
from seal_env.journal import Journal, write_whole
from seal_env.report.frontier_plot import draw_frontier
from seal_env.report.progress import Progress
from seal_env.report.result_tables import continual_table
from seal_env.report.retention_plot import draw_retention
from seal_env.report.work import Work

COSTS: Final = ("training_tokens", "optimizer_steps")
"""What a sequence takes, by the names that records have."""
TIMINGS: Final = "timings.jsonl"
"""The journal of wall times: apart from the records, which equal runs have in common."""


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
    run = {"command": "reproduce continual", **settings.model_dump(exclude={"designs"})}
    given = {"max_turns": 1, "subset": get_domain(config.environment["domain"]).held_out, **config.overrides}
    designs = [Design.of(name) for name in settings.designs]
    extent = {"designs": [design.name for design in designs]}
    with open_run(config, run, console, config.options, extent, **{"decode": None, **given}) as opened:
        rows: dict[str, Any] = {}
        units = {design.row(agent): settings.sequences for design in designs for agent in settings.agents}
        with Progress(console, Work(units), "sequences") as progress:
            measuring = _Measuring(settings, opened, console, progress)
            for design in designs:
                env = design.wrapped(_environment(settings, opened.config, {**given, **design.settings}))
                try:
                    rows |= _measure(measuring, design, env)
                finally:
                    env.close()
        return _finish(settings, rows, opened, console)


def _finish(settings: ContinualSettings, rows: Mapping[str, Any], opened: OpenRun, console: Console) -> dict[str, Any]:
    """Write and show the table."""
    config = opened.config
    table = {"sequences": settings.sequences, "tasks": config.settings().sequence, "rows": dict(rows)}
    write_whole(config.out / "table.json", json.dumps(table, indent=1))
    if len(settings.designs) > 1:
        _draw(lambda: draw_frontier(rows, config.out / "frontier.png"), console)
    config.show(table, continual_table(table, _minutes(config, rows)), console)
    opened.finish(sum(settings.sequences - row["sequences"] for row in rows.values()))
    return table


def _draw(draw: Callable[[], None], console: Console) -> None:
    try:
        draw()
    except MissingExtraError as error:
        console.print(f"no picture: {error}", style="yellow", markup=False)


class _Measuring(NamedTuple):
    """What all rows have in common."""

    settings: ContinualSettings
    opened: OpenRun
    console: Console
    progress: Progress


def _measure(measuring: _Measuring, design: Design, env: gymnasium.Env[str, str]) -> dict[str, Any]:
    """The rows of one design, by name."""
    settings, opened, console, _ = measuring
    seal = env.unwrapped
    assert isinstance(seal, SealContinualEnv)
    length, ids = seal.settings.sequence, seal.taskset.task_ids
    most = len(ids) // length
    if not 1 <= settings.sequences <= most:
        legal = f"1 to {most}: {seal.settings.subset!r} has {len(ids)} tasks, {length} for each sequence"
        raise SettingError("sequences", settings.sequences, legal)
    opened.begin(seal.runtime)
    rows: dict[str, Any] = {}
    for name in settings.agents:
        row = design.row(name)
        rows[row] = summarise(_sequences(name, measuring, design, env)) | {"agent": name, "design": design.name}
        picture = opened.config.out / f"retention-{row}.png"
        _draw(partial(draw_retention, rows[row]["retention"], row, picture), console)
    return rows


def _environment(settings: ContinualSettings, config: ExperimentConfig, given: Mapping[str, Any]) -> gymnasium.Env[str, str]:
    env = gymnasium.make(config.env, disable_env_checker=True, **with_cache_file(given, config.out))
    return env if settings.gate is None else ForgettingGate(env, settings.gate, settings.limit)


def _sequences(name: str, measuring: _Measuring, design: Design, env: gymnasium.Env[str, str]) -> list[dict[str, Any]]:
    """The records of one agent's sequences, after those that the journal lacks have been run."""
    settings, opened, console, progress = measuring
    seal, row, config = env.unwrapped, design.row(name), opened.config
    assert isinstance(seal, SealContinualEnv)
    options = {option: config.options[option] for option in get_agent(name).options.model_fields if option in config.options}
    agent = design.agent(make_agent(name, AgentContext.of(env, settings.seed), **options), env)
    journal, timings = Journal(config.out / f"{row}.jsonl"), Journal(config.out / TIMINGS)
    done = set(journal.read_as(lambda record: record["number"]))
    progress.begin(row, row, settings.sequences, len(done))
    missing = [number for number in range(settings.sequences) if number not in done]
    for ended, number in enumerate(missing, len(done) + 1):
        began = time.perf_counter()
        agent.seed(settings.seed + number)
        first = seal.taskset.task_ids[number * seal.settings.sequence]
        trajectory = run_episode(env, agent, first, settings.seed + number)
        progress.reach(ended)
        if trajectory.truncated:
            console.print(f"{row}, sequence {number}: {trajectory.info['reason']}", style="yellow", markup=False)
            continue
        infos = [turn.info for turn in trajectory.turns]
        timings.append({"row": row, "number": number, "seconds": time.perf_counter() - began})
        record = _record(number, trajectory.info, infos, seal.runtime.spec.metrics)
        journal.append(record | {"actions": [turn.action for turn in trajectory.turns]})
    return journal.read()


def _minutes(config: ExperimentConfig, rows: Iterable[str]) -> dict[str, float]:
    """Mean wall time of a sequence by row, in minutes; of one that was run twice the last time counts."""
    found: dict[str, dict[int, float]] = {row: {} for row in rows}
    for record in Journal(config.out / TIMINGS).read():
        found.setdefault(record["row"], {})[record["number"]] = record["seconds"] / 60
    return {row: _mean(list(each.values())) for row, each in found.items() if each}


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
        "training_tokens": sum(info.get("training_tokens", 0) for info in updates),
        "optimizer_steps": sum(info.get("optimizer_steps", 0) for info in updates),
        "steps": [info["optimizer_steps"] for info in infos],
        "tokens": [info["tokens"] for info in infos],
        "metrics": {name: value for name, value in measured.items() if not math.isnan(value)},
    }


def summarise(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Aggregate the sequences of one agent.

    Args:
        records: Lines of the agent's journal, in any order: a sequence that failed is tried again after the others.

    Returns:
        `sequences`, their number; `retention`, the mean matrix; and means over sequences with intervals: `before`, the base
        model's score on all tasks; `new`, the score on each task just after it was learned; `end`, the score on all tasks
        after the last one; `forgetting` and `backward_transfer`, see RetentionMatrix; `merged`, the share of updates that
        were merged; `metrics`, the domain's further measures after each update on its own task (`new`) and after the last
        one on all tasks (`end`); and `costs`, what the training of a sequence took. Without a sequence, the first two alone.
    """
    if not records:
        return {"sequences": 0, "retention": []}
    records = sorted(records, key=lambda record: int(record.get("number", 0)))
    matrices = [RetentionMatrix(tuple(each["sequence"]), [tuple(row) for row in each["retention"]]) for each in records]
    values = {
        "before": [_mean(matrix.rows[0]) for matrix in matrices],
        "new": [_mean([matrix.rows[k + 1][k] for k in range(matrix.updates)]) for matrix in matrices],
        "end": [matrix.seen() for matrix in matrices],
        "forgetting": [matrix.forgetting() for matrix in matrices],
        "backward_transfer": [matrix.backward_transfer() for matrix in matrices],
        "merged": [_mean([float(merged) for merged in each["merged"]]) for each in records],
    }
    costs = {name: _mean_known([each.get(name) for each in records]) for name in COSTS}
    mean = [
        [_mean_known([matrix.rows[row][task] for matrix in matrices]) for task in range(len(matrices[0].task_ids))]
        for row in range(len(matrices[0].rows))
    ]
    intervals = {name: bootstrap(found)._asdict() for name, found in values.items()}
    names = dict.fromkeys(name for each in records for name in each.get("metrics", {}))
    measured = {name: [each["metrics"][name] for each in records if name in each.get("metrics", {})] for name in names}
    metrics = {name: bootstrap(values)._asdict() for name, values in measured.items()}
    return {"sequences": len(records), "retention": mean, **intervals, "metrics": metrics, "costs": costs}


def _mean(scores: Sequence[float | None]) -> float:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else math.nan


def _mean_known(scores: Sequence[float | None]) -> float | None:
    return None if any(score is None for score in scores) else _mean(scores)
