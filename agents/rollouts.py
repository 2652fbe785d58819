"""Episodes: an agent acts until the end, in an environment or in many episodes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium

from seal_env.agents.base import Agent, PolicyFailure, Trajectory, Turn
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.types import Outcome, Step


class Start(NamedTuple):
    """How an episode begins: its task, and the seed of everything random in it."""

    task_id: str
    seed: int


def run_episode(
    env: gymnasium.Env[str, str], agent: Agent, task_id: str | None = None, seed: int | None = None
) -> Trajectory:
    """Play one whole episode.

    Args:
        env: An environment of this package.
        agent: Acts in it.
        task_id: None is the environment's next task.
        seed: Of the environment's `reset`.

    Raises:
        PolicyError: If the agent's policy gives no action.
    """
    options: dict[str, Any] | None = None if task_id is None else {"task_id": task_id}
    observation, info = env.reset(seed=seed, options=options)
    first, turns = str(info["task_id"]), list[Turn]()
    terminated = truncated = False
    while not (terminated or truncated):
        action = agent.act(observation, info)
        after, reward, terminated, truncated, step_info = env.step(action)
        turns.append(Turn(observation, _recorded(action), float(reward), step_info, info))
        observation, info = next_observation(agent, turns[-1], after), step_info
    timings = dict(getattr(env.unwrapped, "last_timings", {}))
    return Trajectory(first, tuple(turns), truncated, timings)


def run_episodes(
    runtime: Runtime,
    agent: Agent,
    starts: Sequence[Start],
    base: BaseAnswerCache,
    first: Sequence[Sequence[str]] = (),
) -> list[Trajectory]:
    """Play whole episodes side by side, so that their updates train together.

    An episode for which the agent's policy gave no action is truncated with the outcome `engine_error`.

    Args:
        runtime: Shared by the episodes.
        agent: Acts in all of them.
        starts: Of the episodes.
        base: The base model's answers so far, to which more are added.
        first: Actions of each episode that are taken before the agent acts in it; empty if there are none.

    Returns:
        Trajectories in the order of `starts`.

    Raises:
        UnknownTaskError: Before anything is run.
        PolicyError: If the policy gives no action for any episode.
    """
    episodes = [Episode(runtime, runtime.taskset[start.task_id], start.seed) for start in starts]
    openings = [episode.opening() for episode in episodes]
    observations, infos = [text for text, _ in openings], [info for _, info in openings]
    turns: list[list[Turn]] = [[] for _ in episodes]
    truncated = [False] * len(episodes)
    while active := [index for index, episode in enumerate(episodes) if not episode.over]:
        given = {
            index: first[index][len(turns[index])] for index in active if first and len(turns[index]) < len(first[index])
        }
        free = [index for index in active if index not in given]
        acted = agent.act_all([observations[index] for index in free], [infos[index] for index in free]) if free else []
        chosen = dict[int, str | PolicyFailure](given) | dict(zip(free, acted, strict=True))
        actions = [chosen[index] for index in active]
        steps = _play([episodes[index] for index in active], actions, base)
        for index, action, (after, reward, _, cut, info) in zip(active, actions, steps, strict=True):
            written = "" if isinstance(action, PolicyFailure) else _recorded(action)
            turns[index].append(Turn(observations[index], written, reward, info, infos[index]))
            observations[index], infos[index] = next_observation(agent, turns[index][-1], after), info
            truncated[index] = cut
    return [
        Trajectory(start.task_id, tuple(mine), cut, dict(episode.timings))
        for start, mine, cut, episode in zip(starts, turns, truncated, episodes, strict=True)
    ]


def next_observation(agent: Agent, turn: Turn, reply: str) -> str:
    """What the agent reads after a turn: the reply, after all turns so far if it reads the history.

    A fresh prompt, for another segment or another task, stands alone.
    """
    if not agent.reads_history or turn.info["segment"]["turn"] == 0:
        return reply
    return f"{turn.observation}\n\nYour reply:\n{turn.action}\n\nWhat came of it:\n{reply}"


def _recorded(action: Any) -> Any:
    """An action that is longer than what is read is cut one character behind that limit, so that it stays what it was."""
    return action[: MAX_CHARACTERS + 1] if isinstance(action, str) else action


def _play(episodes: Sequence[Episode], actions: Sequence[str | PolicyFailure], base: BaseAnswerCache) -> list[Step]:
    acted = [index for index, action in enumerate(actions) if not isinstance(action, PolicyFailure)]
    steps: list[Step | None] = [
        episode.fail(Outcome.ENGINE_ERROR, action.reason) if isinstance(action, PolicyFailure) else None
        for episode, action in zip(episodes, actions, strict=True)
    ]
    played = play([episodes[index] for index in acted], [actions[index] for index in acted], base)
    for index, step in zip(acted, played, strict=True):
        steps[index] = step
    return [step for step in steps if step is not None]
