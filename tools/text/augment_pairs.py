"""`augment` for solved examples: few-shot documents, each of which leaves one example out and ends with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.types import Document


@runtime_checkable
class PairSource(Protocol):
    """What a domain offers to `augment`."""

    def leave_one_out(self, segment: Any, orders: int, seed: int) -> tuple[str, ...]:
        """Documents that end with one solved example each, after the others in `orders` random orders."""
        ...


class AugmentPairsArguments(Arguments):
    """How many documents are made."""

    num_orders: int = Field(
        ge=1, le=8, description="Random orders of the other examples for each example that is left out.", examples=[2]
    )


def apply(draft: Draft, context: EditContext, arguments: AugmentPairsArguments) -> Draft:
    """The draft with a document more for each example and order, unless it is there already."""
    source: PairSource = context.domain
    made = source.leave_one_out(context.segment, arguments.num_orders, context.seed)
    return replace(
        draft, candidates=tuple(dict.fromkeys([*(draft.candidates or ()), *(Document("", text) for text in made)]))
    )


AUGMENT_PAIRS = Tool(
    name="augment",
    description=(
        "Adds training documents made of the solved examples: each example is left out in turn and comes last, after the "
        "others in random orders."
    ),
    arguments=AugmentPairsArguments,
    apply=apply,
    source=PairSource,
)
