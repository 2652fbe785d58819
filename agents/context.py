"""What an agent is built for: an environment, and what an agent may need of its domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import gymnasium

from seal_env.agents.demonstrations import demonstrations
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.self_edits.numeric_actions import coordinates


@dataclass(frozen=True)
class AgentContext:
    """The environment that an agent is built for.

    Attributes:
        runtime: Its settings, tasks and tools. The model need not be loaded.
        action_space: Its action space.
        seed: Fixes everything random in what the agent does.
    """

    runtime: Runtime
    action_space: gymnasium.Space[str]
    seed: int = 0

    @classmethod
    def of(cls, env: gymnasium.Env[str, str], seed: int = 0) -> AgentContext:
        """The context of an environment of this package, with or without wrappers."""
        inner: Any = env.unwrapped
        return cls(inner.runtime, env.action_space, seed)

    @property
    def domain(self) -> str:
        """Name of the environment's domain."""
        return self.runtime.spec.name

    @property
    def model(self) -> str:
        """Name of the environment's base model."""
        return self.runtime.settings.model

    @property
    def reads_plain_text(self) -> bool:
        """Whether plain text is an action, one document a line."""
        return self.runtime.spec.reads_plain_text

    @property
    def default_self_edit(self) -> str:
        """The self-edit that the domain takes by default, as JSON."""
        return self.runtime.spec.default_self_edit

    @property
    def no_update(self) -> str:
        """A self-edit that leaves the base model as it is, as JSON."""
        return self.runtime.spec.no_update


@dataclass(frozen=True)
class Requirement:
    """Something that not every domain has.

    Attributes:
        summary: What an agent needs, in words.
        is_met: Whether an environment has it.
    """

    summary: str
    is_met: Callable[[AgentContext], bool]


def _numeric(context: AgentContext) -> bool:
    if not isinstance(context.action_space, SelfEditSpace):
        return False
    try:
        coordinates(context.action_space.spec)
    except SettingError:
        return False
    return True


def _first_data(context: AgentContext) -> Mapping[str, Any]:
    """What an agent is shown of the first task, as data."""
    runtime = context.runtime
    first = runtime.taskset[runtime.taskset.task_ids[0]]
    return runtime.domain.as_data(runtime.domain.segments(first.context)[0])


def _has_passages(context: AgentContext) -> bool:
    return {"title", "text"} <= _first_data(context).keys()


def _has_grids(context: AgentContext) -> bool:
    return bool(demonstrations({"task": {"data": _first_data(context)}}))


PASSAGES: Final = "passages"
GRIDS: Final = "grids"
PLAIN_TEXT: Final = "plain_text"
NUMERIC_ACTIONS: Final = "numeric_actions"
REQUIREMENTS: Final[Mapping[str, Requirement]] = {
    PASSAGES: Requirement("it needs tasks that are passages", _has_passages),
    GRIDS: Requirement("it needs tasks that are pairs of grids", _has_grids),
    PLAIN_TEXT: Requirement("it writes plain text, which only some domains read", lambda context: context.reads_plain_text),
    NUMERIC_ACTIONS: Requirement("it needs tools whose arguments are numbers, switches and choices", _numeric),
}
"""By the names that `Agent.requires` has."""
