"""An agent that rehearses: the self-edits of another agent, each with a call of `rehearse`."""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.agents.base import Agent, Info, PolicyFailure, Trajectory
from seal_env.self_edits.with_rehearsal import with_rehearsal


class RehearsingAgent(Agent):
    """Rehearses at least this share of the documents of all earlier tasks in each update.

    Args:
        agent: Writes the self-edits.
        share: Of each task's documents, in [0, 1].
        plain_text: Whether plain text is an action too.
    """

    def __init__(self, agent: Agent, share: float, plain_text: bool = False) -> None:
        self.agent, self.share, self.plain_text = agent, share, plain_text
        self.reads_history, self.learns = agent.reads_history, agent.learns  # type: ignore[misc]

    def act(self, observation: str, info: Info) -> str:
        """The other agent's action with a call of `rehearse`; see `with_rehearsal`."""
        return with_rehearsal(self.agent.act(observation, info), self.share, self.plain_text)

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent."""
        acted = self.agent.act_all(observations, infos)
        return [
            each if isinstance(each, PolicyFailure) else with_rehearsal(each, self.share, self.plain_text) for each in acted
        ]

    def tokens_written(self, action: str) -> int | None:
        """See Agent. The action is not what a language model wrote, so how many tokens that were is not known."""
        return 0 if self.agent.tokens_written(action) == 0 else None

    def seed(self, seed: int) -> None:
        """See Agent."""
        self.agent.seed(seed)

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """See Agent."""
        self.agent.learn(trajectories)
