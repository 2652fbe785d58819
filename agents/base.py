"""What an agent is: `act` on an observation, `update` on trajectories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One step of an episode: what the agent read and wrote, and what came of it. reward is nan if the machine failed."""

    observation: str
    action: str
    reward: float
    info: dict[str, Any]


@dataclass(frozen=True)
class Trajectory:
    """One episode on one task. timings: seconds by phase, the only part that differs between equal runs."""

    task_id: str
    turns: tuple[Turn, ...]
    truncated: bool
    timings: dict[str, float]

    @property
    def reward(self) -> float:
        """The episode's return: rewards are not discounted."""
        return sum(turn.reward for turn in self.turns)

    @property
    def info(self) -> dict[str, Any]:
        """The last turn's info, which tells how the episode ended."""
        return self.turns[-1].info


@dataclass(frozen=True)
class PolicyFailure:
    """In place of an action: the policy could not be asked, for the reason given. It says nothing about the policy."""

    reason: str


class Agent(ABC):
    """Decides on self-edits. An agent that learns overrides `update`; one that can decide on many at once, `act_all`.

    reads_history: after the first turn of an episode it is given all that was said in it, not the last reply alone.
    """

    reads_history = False

    @abstractmethod
    def act(self, observation: str) -> str:
        """The action, a JSON text, for an observation. Raises PolicyError if the policy cannot be asked."""

    def act_all(self, observations: Sequence[str]) -> list[str | PolicyFailure]:
        """An action for each observation, in their order. Raises PolicyError if the policy can be asked for none of them."""
        return [self.act(observation) for observation in observations]

    def seed(self, seed: int) -> None:  # noqa: B027 (not every agent draws)
        """Fix everything random in what is decided from now on."""

    def update(self, trajectories: Sequence[Trajectory]) -> None:  # noqa: B027 (not every agent learns)
        """Learn from finished episodes."""
