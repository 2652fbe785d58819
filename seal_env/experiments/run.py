"""`seal-env run`: an agent on a number of episodes, shown live, written to a run folder line by line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from seal_env.agents.base import Agent, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import check_options, get_agent, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.base import SealBaseEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.run_folder import RunFolder, refuse_existing, settings_tables, with_cache_file
from seal_env.experiments.settings import RunSettings
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.cache.loop import CacheStatistics, statistics_of
from seal_env.report.episode_tables import episode_table, summary_text
from seal_env.report.formats import plural
from seal_env.report.progress import Progress
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.validate import check_calls
from seal_env.settings import Settings
from seal_env.types import InvalidSelfEdit

DERIVED = ("task", "budget", "segment")
"""Fields of info that follow from the task and the settings, and are in no record."""


def run(agent_name: str, settings: RunSettings, config: ExperimentConfig, console: Console) -> list[Trajectory]:
    """Run an agent on tasks, in the order of the subset.

    Whatever stops the run (an interrupt, an error) is raised after the finished episodes have been written and reported.

    Args:
        agent_name: A registered name, or "package.module:Class".
        settings: How many episodes, and the seed.
        config: The environment by its id, the agent's own settings, and the run folder, which must not exist.
        console: Where progress and the result are shown.

    Raises:
        SealError: Before anything is written, if the run cannot begin.
    """
    refuse_existing(config.out)
    given = with_cache_file(config.overrides, config.out)
    # Gymnasium's own checker warns of rewards that are not numbers, which here stand for infrastructure failures.
    env: gymnasium.Env[str, str] = gymnasium.make(config.env, disable_env_checker=True, **given)
    seal = env.unwrapped
    assert isinstance(seal, SealBaseEnv)
    used = seal.settings
    _check_self_edit(config.options.get("self_edit"), seal.runtime)
    agent = make_agent(agent_name, AgentContext.of(env, settings.seed), **config.options)
    options = check_options(get_agent(agent_name), config.options)
    device = resolve_device(used.device)
    with console.status(f"loading {used.model}"):
        seal.runtime.load()
    count = len(seal.taskset) // used.sequence if settings.episodes is None else settings.episodes
    inner_loop = seal.runtime.inner_loop
    known_before = statistics_of(inner_loop)
    episodes = plural(count, "episode")
    console.print(f"{agent_name} agent, {episodes} of {used.subset}, model {used.model} on {device}", soft_wrap=True)
    run = {"environment": config.env, "agent": agent_name, "episodes": count, "seed": settings.seed}
    folder = RunFolder(config.out, settings_tables(run, seal.runtime, options))
    trajectories: list[Trajectory] = []
    began = time.perf_counter()
    try:
        with folder, Progress(console, count) as progress:
            for index in range(count):
                task_id = seal.taskset.task_ids[index * used.sequence % len(seal.taskset)]
                progress.start(task_id)
                trajectory = _episode(env, agent, task_id, settings.seed if index == 0 else None)
                folder.write_episode(episode_record(index, run, seal.settings, trajectory))
                trajectories.append(trajectory)
                progress.finish(trajectory)
    finally:
        env.close()
        elapsed = time.perf_counter() - began
        cached = statistics_of(inner_loop).since(known_before)
        folder.write_cache(cached)
        _report(trajectories, elapsed, cached, seal.runtime, folder.path, console)
    return trajectories


def _check_self_edit(self_edit: str | None, runtime: Runtime) -> None:
    """Raise SettingError for the self-edit of a fixed agent that is not legal with these tools."""
    if self_edit is None:
        return
    calls = (parse_or_read if runtime.spec.reads_plain_text else parse)(self_edit)
    checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, runtime.tools)
    if isinstance(checked, InvalidSelfEdit):
        raise SettingError("self_edit", self_edit[:60], f"a self-edit. {checked.reason}")


def _episode(env: gymnasium.Env[str, str], agent: Agent, task_id: str, seed: int | None) -> Trajectory:
    """One episode, from which the agent learns unless an infrastructure failure ended it."""
    trajectory = run_episode(env, agent, task_id, seed)
    if not trajectory.truncated:
        agent.learn([trajectory])
    return trajectory


def _report(
    trajectories: list[Trajectory],
    elapsed: float,
    cached: CacheStatistics,
    runtime: Runtime,
    path: Path,
    console: Console,
) -> None:
    if trajectories:
        console.print()
        console.print(episode_table(trajectories, console, runtime.tools, runtime.spec.metrics))
        console.print()
        text = summary_text(trajectories, elapsed, cached, runtime.spec.metrics)
        console.print(text, soft_wrap=True, markup=False)
    console.print(f"written   {path}", soft_wrap=True, markup=False)


def episode_record(index: int, run: Mapping[str, Any], used: Settings, trajectory: Trajectory) -> dict[str, Any]:
    """One line of episodes.jsonl: the last info, the actions and rewards of every turn, and the timings.

    Args:
        index: Of the episode in the run.
        run: The table `run` of settings.toml.
        used: Settings of the environment.
        trajectory: The episode.
    """
    turns = trajectory.turns
    return {
        "episode": index,
        "environment": run["environment"],
        "subset": used.subset,
        "model": used.model,
        "agent": run["agent"],
        "seed": run["seed"],
        **{name: value for name, value in trajectory.info.items() if name not in DERIVED},
        "actions": [turn.action for turn in turns],
        "outcomes": [turn.info["outcome"] for turn in turns],
        "reasons": [turn.info["reason"] for turn in turns],
        "rewards": [turn.reward for turn in turns],
        "reward": trajectory.reward,
        "truncated": trajectory.truncated,
        "timings": {name: round(seconds, 4) for name, seconds in trajectory.timings.items()},
    }
