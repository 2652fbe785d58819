"""What an agent is built for: an environment, and what an agent may need of its domain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gymnasium

from seal_env.agents.demonstrations import demonstrations
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.self_edits.numeric_actions import coordinates
from seal_env.self_edits.parse_calls import parse
from seal_env.tools.example import example_arguments
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.self_qa import SELF_QA
from seal_env.types import InvalidSelfEdit, ToolCall


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
        """The self-edit that the domain takes by default, as JSON, without examples by tools that the environment lacks.

        Raises:
            SettingError: If it calls another tool that the environment lacks.
        """
        return _written(self._with_own_tools("the domain's default self-edit", self.runtime.spec.default_self_edit))

    @property
    def no_update(self) -> str:
        """A self-edit that leaves the base model as it is, as JSON. Raises SettingError as `default_self_edit` does."""
        calls = self._with_own_tools("the self-edit without an update", self.runtime.spec.no_update)
        makers = {tool.name: tool for tool in self.runtime.tools if tool.makes_examples}
        if makers and not any(call.name in makers for call in calls):  # no examples at all would be a mistake
            tool = next(iter(makers.values()))
            calls = (ToolCall(tool.name, example_arguments(tool)), *calls)
        return _written(calls)

    def _with_own_tools(self, what: str, self_edit: str) -> tuple[ToolCall, ...]:
        calls = parse(self_edit)
        if isinstance(calls, InvalidSelfEdit):
            raise SettingError(what, self_edit, f"tool calls: {calls.reason}")
        known = {tool.name for tool in self.runtime.tools}
        makers = {tool.name for tool in self.runtime.spec.tools if tool.makes_examples}
        if lacking := sorted({call.name for call in calls} - known - makers):
            raise SettingError("tools", ",".join(sorted(known)), f"with {' and '.join(lacking)} among them, for {what}")
        return tuple(call for call in calls if call.name in known)


def _written(calls: Sequence[ToolCall]) -> str:
    return json.dumps([{"name": call.name, "arguments": dict(call.arguments)} for call in calls])


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


def _has_no_update(context: AgentContext) -> bool:
    try:
        return bool(context.no_update)
    except SettingError:
        return False


def _has_text_tools(context: AgentContext) -> bool:
    return {IMPLICATIONS.name, SELF_QA.name} <= {tool.name for tool in context.runtime.tools}


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
NO_UPDATE: Final = "no_update"
TEXT_TOOLS: Final = "text_tools"
REQUIREMENTS: Final[Mapping[str, Requirement]] = {
    PASSAGES: Requirement("it needs tasks that are passages", _has_passages),
    GRIDS: Requirement("it needs tasks that are pairs of grids", _has_grids),
    PLAIN_TEXT: Requirement("it writes plain text, which only some domains read", lambda context: context.reads_plain_text),
    NUMERIC_ACTIONS: Requirement("it needs tools whose arguments are numbers, switches and choices", _numeric),
    NO_UPDATE: Requirement("it needs the tools that ask for no update, as `training` does with 0 epochs", _has_no_update),
    TEXT_TOOLS: Requirement("it needs the tools `implications` and `self_qa`", _has_text_tools),
}
"""By the names that `Agent.requires` has."""
