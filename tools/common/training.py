"""`training`: sets how the adapter is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Shorthand, Tool, sampled_from
from seal_env.types import Strategy, TrainingConfig

_TOKENS = {"train_using_all_tokens": "all", "train_using_output_tokens": "out"}


class TrainingArguments(Arguments):
    """The fields of `TrainingConfig`, in SEAL's names."""

    strategy: Strategy = Field(
        description="Which tokens carry loss: all of them, or only those of the output grids.",
        examples=["train_using_output_tokens"],
    )
    learning_rate: float = Field(
        gt=0,
        le=1,
        description="Peak learning rate of AdamW, above 0 and at most 1.",
        examples=[0.0001],
        json_schema_extra=sampled_from(3e-5, 3e-3),
    )
    num_train_epochs: int = Field(
        ge=0,
        le=20,
        description="Passes over the examples; 0 trains nothing.",
        examples=[2],
        json_schema_extra=sampled_from(1, 4),
    )


def apply(draft: Draft, context: EditContext, arguments: TrainingArguments) -> Draft:
    """The draft with this training config in place of any earlier one."""
    config = TrainingConfig(arguments.strategy, arguments.learning_rate, arguments.num_train_epochs)
    return replace(draft, training=config)


def _short(calls: Sequence[Mapping[str, Any]]) -> str:
    """`out 3.2e-04 x2`."""
    last = calls[-1]
    return f"{_TOKENS[last['strategy']]} {last['learning_rate']:.1e} x{last['num_train_epochs']}"


TRAINING = Tool(
    name="training",
    description="Sets the strategy, the learning rate and the number of epochs. A later call replaces an earlier one.",
    arguments=TrainingArguments,
    apply=apply,
    makes_examples=False,
    shorthand=Shorthand("loss on all or output tokens; learning rate; epochs", _short),
    replaces=True,
)
