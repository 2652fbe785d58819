"""`rehearse`: learns documents of earlier tasks again, together with those of the current one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Rehearse, Shorthand, Tool, sampled_from

MAX_TASKS = 64
"""Most tasks that one call names, and the highest number."""


class RehearseArguments(Arguments):
    """The fields of `Rehearse`."""

    share: float = Field(
        ge=0,
        le=1,
        description="Share of each of these tasks' documents, drawn at random.",
        examples=[0.25],
        json_schema_extra=sampled_from(0.0, 1.0),
    )
    tasks: list[Annotated[int, Field(ge=1, le=MAX_TASKS)]] = Field(
        max_length=MAX_TASKS,
        description="Numbers of earlier tasks as they are listed; others do not matter, and an empty list is all tasks.",
        examples=[[]],
    )


def apply(draft: Draft, context: EditContext, arguments: RehearseArguments) -> Draft:
    """The draft with one more wish."""
    return replace(draft, rehearse=(*draft.rehearse, Rehearse(arguments.share, tuple(arguments.tasks))))


def _short(calls: Sequence[Mapping[str, Any]]) -> str:
    """`25%`, `25% of 1,2`."""
    named = ((call["share"], ",".join(map(str, call["tasks"]))) for call in calls)
    return " ".join(f"{share:.0%} of {tasks}" if tasks else f"{share:.0%}" for share, tasks in named)


REHEARSE = Tool(
    name="rehearse",
    description=(
        "Learns documents of earlier tasks again in this update, so that they are forgotten less. A further call replaces "
        "the share of the tasks that it names."
    ),
    arguments=RehearseArguments,
    apply=apply,
    makes_examples=False,
    shorthand=Shorthand("share of the documents of earlier tasks", _short),
)
