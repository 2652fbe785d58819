"""A random self-edit for every task."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

import gymnasium

from seal_env.agents.base import Agent, Info
from seal_env.options import Options

if TYPE_CHECKING:
    from seal_env.agents.context import AgentContext


class RandomAgent(Agent):
    """A random valid self-edit. Equal seeds give equal sequences.

    Args:
        action_space: Sampled from; a copy is, so that the environment's own space is left as it is.
        seed: Of the copy.
    """

    def __init__(self, action_space: gymnasium.Space[str], seed: int = 0) -> None:
        self._space = copy.deepcopy(action_space)
        self._space.seed(seed)

    @classmethod
    def build(cls, options: Options, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.action_space, context.seed)

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._space.seed(seed)

    def act(self, observation: str, info: Info) -> str:
        """Sample a self-edit, whatever the observation."""
        return self._space.sample()
