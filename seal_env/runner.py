"""One run: an agent on a number of episodes, shown live, written to a run folder line by line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

import seal_env
from seal_env.agents.base import Agent, Trajectory
from seal_env.agents.registry import AgentSettings, make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.env import SealEnv
from seal_env.inner_loop import resolve_device
from seal_env.records import RunFolder, package_versions
from seal_env.report.progress import Progress
from seal_env.report.tables import episode_table, summary_text


@dataclass(frozen=True)
class RunSettings:
    """What to run. episodes None: every task of the subset once."""

    environment: str
    agent: str
    episodes: int | None
    seed: int
    out: Path
    self_edit: str | None = None


def run(settings: RunSettings, environment_settings: dict[str, Any], console: Console) -> list[Trajectory]:
    """Run all episodes, tasks in the subset's order. Interrupted runs keep, and report, what was finished."""
    env = gymnasium.make(settings.environment, **environment_settings)
    seal = env.unwrapped
    assert isinstance(seal, SealEnv)
    agent = make_agent(settings.agent, AgentSettings(seal.action_space, settings.seed, settings.self_edit))
    device = resolve_device(seal.settings.device)
    count = len(seal.taskset) if settings.episodes is None else settings.episodes
    tables = {
        "run": {"environment": settings.environment, "agent": settings.agent, "episodes": count, "seed": settings.seed}
        | ({"self_edit": settings.self_edit} if settings.self_edit else {}),
        "environment": seal.settings_used() | {"device": device},
        "versions": package_versions(),
    }
    console.print(
        f"{settings.agent} agent, {count} episodes of {seal.settings.subset}, model {seal.settings.model} on {device}"
    )
    began = time.perf_counter()
    trajectories: list[Trajectory] = []
    with RunFolder(settings.out, tables) as folder, Progress(console, count) as progress:
        try:
            for index in range(count):
                task_id = seal.taskset.task_ids[index % len(seal.taskset)]
                progress.start(task_id)
                trajectory = _episode(env, agent, task_id, settings.seed if index == 0 else None)
                trajectories.append(trajectory)
                folder.write_episode(episode_record(index, settings, seal, trajectory))
                progress.finish(trajectory)
        except KeyboardInterrupt:
            console.print("interrupted: what was finished is kept")
    env.close()
    if trajectories:
        console.print(episode_table(trajectories))
        console.print(summary_text(trajectories, time.perf_counter() - began))
    console.print(f"run folder: {settings.out}", soft_wrap=True)
    return trajectories


def _episode(env: gymnasium.Env[str, str], agent: Agent, task_id: str, seed: int | None) -> Trajectory:
    trajectory = run_episode(env, agent, task_id, seed)
    agent.update([trajectory])
    return trajectory


def episode_record(index: int, settings: RunSettings, seal: SealEnv, trajectory: Trajectory) -> dict[str, Any]:
    """One line of episodes.jsonl: all of the last info, the actions and rewards of every turn, and the timings apart."""
    return {
        "episode": index,
        "environment": settings.environment,
        "subset": seal.settings.subset,
        "model": seal.settings.model,
        "agent": settings.agent,
        "seed": settings.seed,
        **trajectory.info,
        "actions": [turn.action for turn in trajectory.turns],
        "outcomes": [turn.info["outcome"] for turn in trajectory.turns],
        "rewards": [turn.reward for turn in trajectory.turns],
        "reward": trajectory.reward,
        "truncated": trajectory.truncated,
        "timings": {name: round(seconds, 4) for name, seconds in trajectory.timings.items()},
        "seal_env": seal_env.__version__,
    }
