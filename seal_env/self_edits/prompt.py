"""The self-edit prompt: what an agent reads when an episode begins.

The fixed sentences are in recipes/prompts.txt too, from which the bundled model's tokenizer learned to write them short.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from seal_env.tools.base import Tool
from seal_env.tools.example import example_arguments
from seal_env.tools.schema import arguments_schema, legal_values
from seal_env.types import Budget, Message, Recipe, TaskDomain, TrainingConfig

SYSTEM = "You adapt a language model to one task. Reply with JSON only."
ROLE = "Decide how the model fine-tunes itself, then start the update. The reward is the accuracy of the updated model."
REPLY = (
    "Reply with JSON only: a list of tool calls, each with a name and its arguments. Call the tools in order and end with "
    "finetune. For example:"
)
DEFAULTS: Final = TrainingConfig()
"""How a self-edit without a `training` call is trained, unless the prompt says otherwise."""


def observation_text(
    domain: TaskDomain,
    tools: Sequence[Tool[Any]],
    description: str,
    budget: Budget,
    max_turns: int,
    batch_size: int = Recipe.batch_size,
    segment: tuple[int, int] = (1, 1),
    defaults: TrainingConfig = DEFAULTS,
    names_tokens: bool = False,
    rehearsal: str = "",
) -> str:
    """The prompt: role, task, tools, budget, form of the reply.

    Args:
        domain: gives the briefing.
        tools: in the order in which they are explained.
        description: the task, used as it is.
        budget: of the self-edit.
        max_turns: replies that the agent has.
        batch_size: examples of an optimizer step.
        segment: number of the segment, from 1, and how many there are.
        defaults: how a self-edit without a `training` call is trained.
        names_tokens: whether the budget of training tokens is named, see `Settings.prompt_names_tokens`.
        rehearsal: what there is of earlier tasks; empty where nothing can be rehearsed.
    """
    parts = [
        f"{ROLE}\n{domain.briefing}",
        f"Task:\n{description}",
        "Tools:\n" + "\n".join(map(_tool_text, tools)),
        *([rehearsal] if rehearsal else ()),
        _budget_text(budget, max_turns, batch_size, *segment, defaults, names_tokens),
        f"{REPLY}\n{example_action(tools)}",
    ]
    return "\n\n".join(parts)


def chat_messages(observation: str) -> tuple[Message, ...]:
    """An observation as a chat: system message, user message."""
    return (Message("system", SYSTEM), Message("user", observation))


def example_action(tools: Sequence[Tool[Any]]) -> str:
    """One valid action, in the form that the prompt requests."""
    return json.dumps([{"name": tool.name, "arguments": example_arguments(tool)} for tool in tools])


def _tool_text(tool: Tool[Any]) -> str:
    fields = arguments_schema(tool)["properties"]
    lines = [f"- {name}: {legal_values(schema)}. {schema['description']}" for name, schema in fields.items()]
    return "\n".join([f"{tool.name}: {tool.description}", *lines])


def _budget_text(
    budget: Budget, max_turns: int, batch_size: int, part: int, parts: int, defaults: TrainingConfig, names_tokens: bool
) -> str:
    turns = (
        "You have one reply."
        if max_turns == 1
        else f"You have {max_turns} replies; before finetune each is answered with what the tools made of it."
    )
    if parts > 1:
        next_one = "finetune goes on to the next one, and the last one starts the update"
        turns = f"This is part {part} of {parts}: {next_one}. {turns}"
    if defaults != DEFAULTS:
        rate, epochs = defaults.learning_rate, defaults.num_train_epochs
        turns = f"Without a training call: learning rate {rate:g}, {epochs} epochs. {turns}"
    tokens = f" and {budget.max_training_tokens} training tokens (epochs x tokens of the examples)" if names_tokens else ""
    return (
        f"Budget: at most {budget.max_steps} optimizer steps (epochs x examples / {batch_size}){tokens}. Examples of "
        f"{budget.max_tokens} tokens or more are dropped, and at most {budget.max_examples} are kept. {turns}"
    )
