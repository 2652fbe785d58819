"""`finetune`: closes the self-edit and starts the update."""

from __future__ import annotations

from dataclasses import replace

from seal_env.tools.base import Arguments, Draft, EditContext, Tool


class FinetuneArguments(Arguments):
    """None."""


def apply(draft: Draft, context: EditContext, arguments: FinetuneArguments) -> Draft:
    """The draft, closed."""
    return replace(draft, finetune=True)


FINETUNE = Tool(
    name="finetune",
    description=(
        "Takes no arguments and comes last. It trains the adapter on the examples, asks the test inputs and ends the "
        "episode with the reward."
    ),
    arguments=FinetuneArguments,
    apply=apply,
)
