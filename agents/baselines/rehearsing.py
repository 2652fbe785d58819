"""An agent that rehearses: the self-edits of another agent, each with a call of `rehearse`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from seal_env.agents.base import Agent, Info, PolicyFailure, Trajectory
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.rehearse import REHEARSE
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit


class RehearsingAgent(Agent):
    """Rehearses the same share of the documents of all earlier tasks in each update.

    Args:
        agent: Writes the self-edits.
        share: Of each task's documents, in [0, 1].
        plain_text: Whether plain text is an action too.
    """

    def __init__(self, agent: Agent, share: float, plain_text: bool = False) -> None:
        self.agent, self.share, self.plain_text = agent, share, plain_text
        self.reads_history = agent.reads_history  # type: ignore[misc]

    def act(self, observation: str, info: Info) -> str:
        """The other agent's action with a call of `rehearse`; see `with_rehearsal`."""
        return with_rehearsal(self.agent.act(observation, info), self.share, self.plain_text)

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent."""
        acted = self.agent.act_all(observations, infos)
        return [
            each if isinstance(each, PolicyFailure) else with_rehearsal(each, self.share, self.plain_text) for each in acted
        ]

    def seed(self, seed: int) -> None:
        """See Agent."""
        self.agent.seed(seed)

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """See Agent."""
        self.agent.learn(trajectories)


def with_rehearsal(action: str, share: float, plain_text: bool = False) -> str:
    """An action, in JSON, that also rehearses this share of the documents of all earlier tasks.

    What does not close a self-edit, is a mistake or has as many calls as there may be stays as it is.

    Args:
        action: Tool calls or, if `plain_text`, texts.
        share: Of each task's documents, in [0, 1].
        plain_text: Whether plain text is an action too.
    """
    calls = (parse_or_read if plain_text else parse)(action)
    if isinstance(calls, InvalidSelfEdit) or calls[-1].name != FINETUNE.name or len(calls) >= MAX_CALLS:
        return action
    made = [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]
    return json.dumps([*made[:-1], {"name": REHEARSE.name, "arguments": {"share": share, "tasks": []}}, made[-1]])
