"""What an agent is: `act` on an observation and its info, `learn` from trajectories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from seal_env.errors import PolicyError
from seal_env.options import Options

if TYPE_CHECKING:
    from seal_env.agents.context import AgentContext

Info = Mapping[str, Any]
"""What an environment says beside an observation, as data: the task, the budget, the segment (`info["task"]`, ...)."""


@dataclass(frozen=True)
class Turn:
    """One step of an episode.

    Attributes:
        observation: What the agent read.
        action: What it wrote; of a text that is too long to be read (65,536 characters) the beginning that shows it.
        reward: What the step returned; nan after an infrastructure failure.
        info: What the step returned: how the action ended.
        given: The info that came with `observation`: what the agent knew when it acted.
    """

    observation: str
    action: str
    reward: float
    info: Info
    given: Info = field(default_factory=dict)


@dataclass(frozen=True)
class Trajectory:
    """One episode on one task.

    Attributes:
        task_id: The task.
        turns: Every step, in order.
        truncated: The episode ended with an infrastructure failure, which says nothing about the agent.
        timings: Seconds by phase; the only part that differs between equal runs.
    """

    task_id: str
    turns: tuple[Turn, ...]
    truncated: bool
    timings: dict[str, float]

    @property
    def reward(self) -> float:
        """The return of the episode: rewards are not discounted."""
        return sum(turn.reward for turn in self.turns)

    @property
    def info(self) -> Info:
        """The info of the last turn, which says how the episode ended."""
        return self.turns[-1].info


@dataclass(frozen=True)
class PolicyFailure:
    """Stands in place of an action where a policy gave none, for `reason`: an infrastructure failure, no mistake."""

    reason: str


class Agent(ABC):
    """Decides on self-edits.

    A subclass needs `act`. One that can decide on many observations at once overrides `act_all`, one that learns `learn`.

    Attributes:
        options: The agent's own settings, a model of keyword arguments; see `build`.
        requires: What the agent needs of a domain: names in `seal_env.agents.context.REQUIREMENTS`.
        reads_history: After the first turn on a segment the observation holds all turns so far, not the last reply alone.
        learns: Whether earlier rewards change what the agent does; true for every class that overrides `learn`.
    """

    options: ClassVar[type[Options]] = Options
    requires: ClassVar[frozenset[str]] = frozenset()
    reads_history: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "learns" not in vars(cls):
            cls.learns = cls.learn is not Agent.learn

    @classmethod
    def build(cls, options: Any, context: AgentContext) -> Self:
        """Make the agent for an environment; by default `options` are the keyword arguments of the constructor.

        Args:
            options: An instance of the class in `options`.
            context: The environment that the agent will act in, and the seed.
        """
        return cls(**{name: getattr(options, name) for name in type(options).model_fields})

    @abstractmethod
    def act(self, observation: str, info: Info) -> str:
        """Choose an action.

        Args:
            observation: The prompt, or the reply to the last action.
            info: What came with it: the task, the budget and the segment as data.

        Returns:
            A self-edit: tool calls as JSON text, or plain text where the domain reads it.

        Raises:
            PolicyError: If there is none, for a reason that says nothing about the policy: its server gives no answer.
        """

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """Choose an action for each of several episodes.

        Args:
            observations: One for each episode.
            infos: What came with each of them.

        Returns:
            Actions in the order of the observations; PolicyFailure where the policy gave none.

        Raises:
            PolicyError: If the policy gave no action for any of them.
        """
        actions: list[str | PolicyFailure] = []
        for observation, info in zip(observations, infos, strict=True):
            try:
                actions.append(self.act(observation, info))
            except PolicyError as error:
                actions.append(PolicyFailure(str(error)))
        reasons = [action.reason for action in actions if isinstance(action, PolicyFailure)]
        if reasons and len(reasons) == len(actions):
            raise PolicyError(reasons[0])
        return actions

    def tokens_written(self, action: str) -> int | None:
        """Tokens that a language model wrote for an action; 0 if none did, None if it is not known."""
        return 0

    def seed(self, seed: int) -> None:  # noqa: B027 (not every agent draws)
        """Fix everything random in what is decided from now on."""

    def learn(self, trajectories: Sequence[Trajectory]) -> None:  # noqa: B027 (not every agent learns)
        """Learn from finished episodes."""
