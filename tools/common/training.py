"""`training`: says how the adapter is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator, Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.types import Strategy, TrainingConfig


def _whole(value: object) -> object:
    """JSON Schema counts 3.0 as an integer; pydantic's strict mode does not. The schema is what is published."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class TrainingArguments(Arguments):
    """The fields of `TrainingConfig`, in SEAL's names."""

    strategy: Strategy = Field(description="Which tokens carry loss: all of them, or only those of the output grids.")
    learning_rate: float = Field(gt=0, le=1, description="Peak learning rate of AdamW, above 0 and at most 1.")
    num_train_epochs: WholeNumber = Field(ge=0, le=20, description="Passes over the examples; 0 trains nothing.")


def apply(draft: Draft, context: EditContext, arguments: TrainingArguments) -> Draft:
    """The draft with this training config in place of any earlier one."""
    config = TrainingConfig(arguments.strategy, arguments.learning_rate, arguments.num_train_epochs)
    return replace(draft, training=config)


TRAINING = Tool(
    name="training",
    description="Sets the strategy, the learning rate and the number of epochs. A later call replaces an earlier one.",
    arguments=TrainingArguments,
    apply=apply,
)
