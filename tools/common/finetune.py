"""`finetune`: closes the self-edit and starts the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seal_env.tools.base import Arguments, Draft, EditContext, Shorthand, Tool


class FinetuneArguments(Arguments):
    """None."""


def apply(draft: Draft, context: EditContext, arguments: FinetuneArguments) -> Draft:
    """The draft, closed."""
    return replace(draft, finetune=True)


def _short(calls: Sequence[Mapping[str, Any]]) -> str:
    return ""


FINETUNE = Tool(
    name="finetune",
    description=(
        "Takes no arguments and comes last. It trains the adapter on the examples, asks the test inputs and ends the "
        "episode with the reward."
    ),
    arguments=FinetuneArguments,
    apply=apply,
    makes_examples=False,
    shorthand=Shorthand("", _short),
)
