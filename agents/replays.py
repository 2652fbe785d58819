"""Episodes again, from the actions that were recorded: what the agent read before each. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seal_env.agents.base import Agent, Info, Turn
from seal_env.agents.rollouts import Start, next_observation
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.types import Step


class Recorded(NamedTuple):
    """An episode on record: how it began, its actions, and their return."""

    start: Start
    actions: Sequence[str]
    reward: float


def replay(
    runtime: Runtime,
    agent: Agent,
    recorded: Sequence[Recorded],
    before: Callable[[Sequence[str], Sequence[Info]], Any] = lambda _observations, _infos: None,
) -> list[tuple[Turn, ...]]:
    """The turns of episodes that ran side by side.

    Args:
        runtime: Of the episodes, its model loaded.
        agent: That acted in them.
        recorded: The episodes, in order.
        before: Called before each turn with the observations and infos of all episodes that have one.

    Returns:
        The turns of each episode. The last one has no info.
    """
    episodes = [Episode(runtime, runtime.taskset[each.start.task_id], each.start.seed) for each in recorded]
    openings = [episode.opening() for episode in episodes]
    read = [text for text, _ in openings]
    given: list[Info] = [info for _, info in openings]
    turns: list[list[Turn]] = [[] for _ in recorded]
    for number in range(max((len(each.actions) for each in recorded), default=0)):
        active = [index for index, each in enumerate(recorded) if len(each.actions) > number]
        before([read[index] for index in active], [given[index] for index in active])
        for index in active:
            action, so_far = recorded[index].actions[number], turns[index]
            if number == len(recorded[index].actions) - 1:
                rest = recorded[index].reward - sum(turn.reward for turn in so_far)
                so_far.append(Turn(read[index], action, rest, {}, given[index]))
                continue
            step = episodes[index].decide(action)
            assert isinstance(step, Step), "an update ends its episode"
            so_far.append(Turn(read[index], action, step.reward, step.info, given[index]))
            read[index], given[index] = next_observation(agent, so_far[-1], step.observation), step.info
    return [tuple(each) for each in turns]
