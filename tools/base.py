"""What a tool is: a pydantic model of its arguments and one pure function on the draft of a self-edit.

    class RankArguments(Arguments):
        rank: int = Field(ge=1, le=64, description="Rank of the adapter.", examples=[8])

    RANK = Tool("rank", "Sets the rank of the adapter.", RankArguments, lambda draft, context, given: ...)

Everything else is derived from the model: the JSON Schema, the prompt with its example, random self-edits, numeric actions,
TRL's methods, guided decoding and tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from seal_env.errors import SettingError
from seal_env.types import TrainingConfig

SAMPLE_RANGE: Final = "x-sample-range"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED: Final = "reset"
"""Means something else where tools are methods of an environment."""


def sampled_from(low: float, high: float) -> dict[str, Any]:
    """Declare the range from which random self-edits and numeric actions take a number.

    It goes into a field as `Field(..., json_schema_extra=sampled_from(1e-5, 1e-3))`. It is not part of the published schema.
    """
    return {SAMPLE_RANGE: [low, high]}


class Arguments(BaseModel):
    """Base of every tool's arguments: no unknown fields, no coercion, no NaN or Infinity.

    A field is a bool, an int, a float, a string, a Literal, an Enum, another Arguments, a list of such, or one of them or
    None. It has a description, which the prompt shows. `examples=[...]` is its value in the prompt's example action; without
    it, one is derived.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _whole_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """JSON Schema counts 3.0 as an integer; pydantic's strict mode does not. The schema is what is published."""
        return _whole(value, cls.model_fields[str(info.field_name)].annotation)


def _whole(value: Any, annotation: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and (annotation is int or int in get_args(annotation)):
        return int(value)
    if isinstance(value, list) and get_args(annotation):
        return [_whole(item, get_args(annotation)[0]) for item in value]
    return value


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True)
class EditContext:
    """What a tool may look at; the queries of the task are never part of it.

    Attributes:
        segment: what the agent is shown of the task, in the domain's own form.
        seed: the seed of the episode.
        domain: what the domain offers to its tools. A family of tools declares what it needs as a protocol, see
            `seal_env.tools.arc.augment.GridSource` and `seal_env.tools.text.documents.TextSource`.
    """

    segment: Any
    seed: int
    domain: Any


class Rehearse(NamedTuple):
    """The wish to learn documents of earlier tasks again.

    Attributes:
        share: of each task's documents, in [0, 1].
        tasks: their numbers, from 1; none stands for all.
    """

    share: float
    tasks: tuple[int, ...]


@dataclass(frozen=True)
class Draft:
    """A self-edit under construction. None means: no tool has set it yet.

    Attributes:
        candidates: training examples in the domain's own form, before the token filter and the cap.
        training: the training config.
        finetune: True once the self-edit is closed.
        counts: what tools counted in what the agent wrote, by name.
        recipe: fields of `seal_env.types.Recipe` that tools override for this update.
        lora: the same for fields of `seal_env.types.LoraSpec`.
        rehearse: what is to be rehearsed; of wishes about one task the last one holds.
    """

    candidates: tuple[Any, ...] | None = None
    training: TrainingConfig | None = None
    finetune: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lora: Mapping[str, Any] = field(default_factory=dict)
    rehearse: tuple[Rehearse, ...] = ()


@dataclass(frozen=True)
class Shorthand:
    """How a table shows the calls of one tool in a self-edit.

    Attributes:
        legend: what the cell means, for the line below the table.
        write: the arguments of all calls, in order -> the cell.
    """

    legend: str
    write: Callable[[Sequence[Mapping[str, Any]]], str]


@dataclass(frozen=True)
class Tool(Generic[ArgumentsT]):
    """One tool of the self-edit.

    Attributes:
        name: what agents call it by.
        description: what it does, for the reader of a prompt.
        arguments: gives every schema.
        apply: pure: equal draft, context and arguments give an equal draft.
        counts: names of what it counts in the draft; every `info` has them.
        makes_examples: whether it makes training examples; messages name those tools where examples are missing.
        source: the protocol that `EditContext.domain` has to follow, None if the tool needs nothing of the domain.
        shorthand: how tables show its calls; None derives it from the arguments.
        replaces: whether a call takes the place of all earlier ones; of several in one action only the last is applied.
    """

    name: str
    description: str
    arguments: type[ArgumentsT]
    apply: Callable[[Draft, EditContext, ArgumentsT], Draft]
    counts: tuple[str, ...] = ()
    makes_examples: bool = True
    source: type[Any] | None = None
    shorthand: Shorthand | None = None
    replaces: bool = False

    def __post_init__(self) -> None:
        """Raises SettingError for a name that agents, servers or TRL cannot call, and for fields without a description."""
        if not NAME.fullmatch(self.name) or self.name == RESERVED:
            legal = f"at most 64 letters a to z, digits and underscores, but not {RESERVED!r}"
            raise SettingError("tool name", self.name, legal)
        for name, info in self.arguments.model_fields.items():
            if not info.description:
                raise SettingError(f"description of {self.name}.{name}", info.description, "a sentence: the prompt shows it")
