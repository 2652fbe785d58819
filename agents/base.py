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


class Agent(ABC):
    """Decides on self-edits. An agent that learns overrides `update`."""

    @abstractmethod
    def act(self, observation: str) -> str:
        """The action, a JSON text, for an observation."""

    def update(self, trajectories: Sequence[Trajectory]) -> None:  # noqa: B027 (not every agent learns)
        """Learn from finished episodes."""
