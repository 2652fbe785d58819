"""Episodes: an agent acts in an environment until the end."""

from __future__ import annotations

from typing import Any

import gymnasium

from seal_env.agents.base import Agent, Trajectory, Turn


def run_episode(
    env: gymnasium.Env[str, str], agent: Agent, task_id: str | None = None, seed: int | None = None
) -> Trajectory:
    """One whole episode; `task_id` None takes the environment's next task."""
    options: dict[str, Any] | None = None if task_id is None else {"task_id": task_id}
    observation, info = env.reset(seed=seed, options=options)
    turns: list[Turn] = []
    terminated = truncated = False
    while not (terminated or truncated):
        action = agent.act(observation)
        after, reward, terminated, truncated, step_info = env.step(action)
        turns.append(Turn(observation, action, float(reward), step_info))
        observation = after
    timings = dict(getattr(env.unwrapped, "last_timings", {}))
    return Trajectory(str(info["task_id"]), tuple(turns), truncated, timings)
