"""One run: an agent on a number of episodes, shown live, written to a run folder line by line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from seal_env.agents.base import Agent, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import check_options, get_agent, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.domains.registry import get_domain
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.experiments.run_folder import RunFolder, package_versions, refuse_existing
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.cache.loop import CacheStatistics, statistics_of
from seal_env.inner_loop.model.device import describe_device
from seal_env.registration import environments
from seal_env.report.episode_tables import episode_table, summary_text
from seal_env.report.formats import plural
from seal_env.report.progress import Progress
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.validate import check_calls
from seal_env.settings import default_of
from seal_env.store import FILE_NAME, cache_path
from seal_env.types import InvalidSelfEdit


@dataclass(frozen=True)
class RunSettings:
    """What to run.

    Attributes:
        environment: Gymnasium id.
        agent: A registered name, or "package.module:Class".
        episodes: How many; None is every task of the subset once.
        seed: Fixes everything random.
        out: The run folder.
        options: The agent's own settings.
    """

    environment: str
    agent: str
    episodes: int | None
    seed: int
    out: Path
    options: Mapping[str, Any] = field(default_factory=dict)


def run(settings: RunSettings, environment_settings: Mapping[str, Any], console: Console) -> list[Trajectory]:
    """Run all episodes, tasks in the subset's order.

    Whatever stops it (an interrupt, an error) is raised once what was finished has been kept and reported. Raises
    SettingError, UnknownTaskError, TaskError, ModelError or RunFolderError before anything is written if it cannot begin.
    """
    _check(settings)
    given = _with_cache_file(environment_settings, settings.out)
    # Gymnasium's own checker warns of every reward that is not a number, which here says that the machine failed.
    env: gymnasium.Env[str, str] = gymnasium.make(settings.environment, disable_env_checker=True, **given)
    seal = env.unwrapped
    assert isinstance(seal, SealEnv)
    used = seal.settings
    agent = make_agent(settings.agent, AgentContext.of(env, settings.seed), **settings.options)
    count = len(seal.taskset) // used.sequence if settings.episodes is None else settings.episodes
    device = resolve_device(used.device)
    with console.status(f"loading {used.model}"):
        seal.runtime.load()
    inner_loop = seal.runtime.inner_loop
    known_before = statistics_of(inner_loop)
    episodes = plural(count, "episode")
    console.print(f"{settings.agent} agent, {episodes} of {used.subset}, model {used.model} on {device}", soft_wrap=True)
    folder = RunFolder(settings.out, settings_tables(settings, seal, count))
    trajectories: list[Trajectory] = []
    began = time.perf_counter()
    try:
        with folder, Progress(console, count) as progress:
            for index in range(count):
                task_id = seal.taskset.task_ids[index * used.sequence % len(seal.taskset)]
                progress.start(task_id)
                trajectory = _episode(env, agent, task_id, settings.seed if index == 0 else None)
                folder.write_episode(episode_record(index, settings, seal, trajectory))
                trajectories.append(trajectory)
                progress.finish(trajectory)
    finally:
        env.close()
        elapsed = time.perf_counter() - began
        cached = statistics_of(inner_loop).since(known_before)
        folder.write_cache(cached)
        _report(trajectories, elapsed, cached, folder.path, console)
    return trajectories


def _with_cache_file(environment_settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The settings with the file of the cache named: the run folder's own unless they, or SEAL_ENV_CACHE, say otherwise."""
    given = dict(environment_settings)
    if given.get("cache", default_of("cache")) == "on" and cache_path(given.get("cache_file")) is None:
        given["cache_file"] = str(out / FILE_NAME)
    return given


def _check(settings: RunSettings) -> None:
    """What is wrong with a run and cheap to see, before a model is loaded."""
    if settings.episodes is not None and settings.episodes < 1:
        raise SettingError("episodes", settings.episodes, "at least 1")
    if settings.seed < 0:
        raise SettingError("seed", settings.seed, "0 or more")
    refuse_existing(settings.out)
    self_edit = settings.options.get("self_edit")
    if self_edit is not None and settings.agent == "fixed":  # make_agent tells the others that they take none
        domain = environments()[settings.environment].get("domain", default_of("domain"))
        spec = get_domain(domain)
        calls = (parse_or_read if spec.reads_plain_text else parse)(self_edit)
        checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, spec.tools)
        if isinstance(checked, InvalidSelfEdit):
            raise SettingError("self_edit", self_edit[:60], f"a self-edit. {checked.reason}")


def _episode(env: gymnasium.Env[str, str], agent: Agent, task_id: str, seed: int | None) -> Trajectory:
    """One episode, from which the agent learns unless the machine failed: that says nothing about the agent."""
    trajectory = run_episode(env, agent, task_id, seed)
    if not trajectory.truncated:
        agent.learn([trajectory])
    return trajectory


def _report(trajectories: list[Trajectory], elapsed: float, cached: CacheStatistics, path: Path, console: Console) -> None:
    if trajectories:
        console.print()
        console.print(episode_table(trajectories, console))
        console.print()
        console.print(summary_text(trajectories, elapsed, cached), soft_wrap=True, markup=False)
    console.print(f"written   {path}", soft_wrap=True, markup=False)


def settings_tables(settings: RunSettings, seal: SealEnv, count: int) -> dict[str, dict[str, Any]]:
    """settings.toml: everything that decides the numbers, resolved, the parts of the profile too."""
    device = resolve_device(seal.settings.device)
    return {
        "run": {
            "environment": settings.environment,
            "agent": settings.agent,
            "episodes": count,
            "seed": settings.seed,
        },
        "environment": seal.settings.flat() | {"device": device},
        "agent_options": check_options(get_agent(settings.agent), settings.options).model_dump(),
        "recipe": asdict(seal.settings.recipe),
        "machine": {"device": describe_device(device)},
        "versions": package_versions(),
    }


def episode_record(index: int, settings: RunSettings, seal: SealEnv, trajectory: Trajectory) -> dict[str, Any]:
    """One line of episodes.jsonl: the last info, what was done in every turn, and the timings apart."""
    turns = trajectory.turns
    return {
        "episode": index,
        "environment": settings.environment,
        "subset": seal.settings.subset,
        "model": seal.settings.model,
        "agent": settings.agent,
        "seed": settings.seed,
        **{name: value for name, value in trajectory.info.items() if name not in ("task", "budget", "segment")},
        "actions": [turn.action for turn in turns],
        "outcomes": [turn.info["outcome"] for turn in turns],
        "reasons": [turn.info["reason"] for turn in turns],
        "rewards": [turn.reward for turn in turns],
        "reward": trajectory.reward,
        "truncated": trajectory.truncated,
        "timings": {name: round(seconds, 4) for name, seconds in trajectory.timings.items()},
    }
