"""Episodes: an agent acts until the end, in an environment or in many episodes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium

from seal_env.agents.base import Agent, PolicyFailure, Trajectory, Turn
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.self_edits.prompt import is_prompt
from seal_env.types import Outcome, Step


class Start(NamedTuple):
    """Where an episode begins: its task, and the seed of everything random in it."""

    task_id: str
    seed: int


def run_episode(
    env: gymnasium.Env[str, str], agent: Agent, task_id: str | None = None, seed: int | None = None
) -> Trajectory:
    """One whole episode; `task_id` None takes the environment's next task."""
    options: dict[str, Any] | None = None if task_id is None else {"task_id": task_id}
    observation, info = env.reset(seed=seed, options=options)
    started, turns = str(info["task_id"]), list[Turn]()
    terminated = truncated = False
    while not (terminated or truncated):
        action = agent.act(observation, info)
        after, reward, terminated, truncated, step_info = env.step(action)
        turns.append(Turn(observation, action, float(reward), step_info, info))
        observation, info = _next(agent, turns[-1], after), step_info
    timings = dict(getattr(env.unwrapped, "last_timings", {}))
    return Trajectory(started, tuple(turns), truncated, timings)


def run_episodes(runtime: Runtime, agent: Agent, starts: Sequence[Start], kept: BaseAnswerCache) -> list[Trajectory]:
    """Whole episodes side by side, in the order of `starts`: their updates train together.

    An episode whose agent could not be asked is truncated with the outcome `engine_error`. kept: the base model's answers
    so far, which grow. Raises UnknownTaskError before anything is run, and PolicyError if no episode's agent can be asked.
    """
    episodes = [Episode(runtime, runtime.taskset[start.task_id], start.seed) for start in starts]
    openings = [episode.opening() for episode in episodes]
    observations, infos = [text for text, _ in openings], [info for _, info in openings]
    turns: list[list[Turn]] = [[] for _ in episodes]
    truncated = [False] * len(episodes)
    while active := [place for place, episode in enumerate(episodes) if not episode.over]:
        actions = agent.act_all([observations[place] for place in active], [infos[place] for place in active])
        steps = _play([episodes[place] for place in active], actions, kept)
        for place, action, (after, reward, _, cut, info) in zip(active, actions, steps, strict=True):
            said = "" if isinstance(action, PolicyFailure) else action
            turns[place].append(Turn(observations[place], said, reward, info, infos[place]))
            observations[place], infos[place], truncated[place] = _next(agent, turns[place][-1], after), info, cut
    return [
        Trajectory(start.task_id, tuple(mine), cut, dict(episode.timings))
        for start, mine, cut, episode in zip(starts, turns, truncated, episodes, strict=True)
    ]


def _next(agent: Agent, turn: Turn, reply: str) -> str:
    """What the agent reads after a turn. The prompt for another part, or for another task, begins anew."""
    if is_prompt(reply):
        return reply
    return f"{turn.observation}\n\nYour reply:\n{turn.action}\n\nWhat came of it:\n{reply}" if agent.reads_history else reply


def _play(episodes: Sequence[Episode], actions: Sequence[str | PolicyFailure], kept: BaseAnswerCache) -> list[Step]:
    asked = [place for place, action in enumerate(actions) if not isinstance(action, PolicyFailure)]
    steps: list[Step | None] = [
        episode.fail(Outcome.ENGINE_ERROR, action.reason) if isinstance(action, PolicyFailure) else None
        for episode, action in zip(episodes, actions, strict=True)
    ]
    played = play([episodes[place] for place in asked], [actions[place] for place in asked], kept)
    for place, step in zip(asked, played, strict=True):
        steps[place] = step
    return [step for step in steps if step is not None]
