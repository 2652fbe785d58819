"""What a tool is: a pydantic model of its arguments and one pure function on the draft of a self-edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from seal_env.types import TrainingConfig


class Arguments(BaseModel):
    """Base of every tool's arguments: no unknown fields, no coercion, no NaN or Infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True)
class EditContext:
    """What a tool may look at: the task's context (never its queries) and the episode's seed."""

    task_context: Any
    seed: int


@dataclass(frozen=True)
class Draft:
    """A self-edit under construction. None means: no tool has set it yet.

    candidates: training examples in the domain's own form, before the token filter and the cap. counts: what tools counted
    in what the agent wrote, by name. recipe: fields of `seal_env.types.Recipe` that tools have set.
    """

    candidates: tuple[Any, ...] | None = None
    training: TrainingConfig | None = None
    finetune: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool(Generic[ArgumentsT]):
    """One tool of the self-edit.

    name and description are what a language model reads; `arguments` gives every schema; `apply` is pure: equal draft,
    context and arguments give an equal draft. counts: names of what it counts in the draft; they are in every `info`.
    """

    name: str
    description: str
    arguments: type[ArgumentsT]
    apply: Callable[[Draft, EditContext, ArgumentsT], Draft]
    counts: tuple[str, ...] = ()
