"""The self-edit prompt: what an agent reads when an episode begins.

The fixed sentences are in embedded/prompts.txt too, from which the embedded model's tokenizer learned to write them short.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from seal_env.tools.base import Tool
from seal_env.tools.registry import get_tools
from seal_env.tools.schema import arguments_schema, legal_values
from seal_env.types import Budget, Message, Recipe

SYSTEM = "You adapt a language model to one task. Reply with JSON only."
ROLE = (
    "Decide how the model fine-tunes itself, then start the update. The reward is the accuracy of the updated model.\n"
    "The task is shown by its demonstrations. The test inputs stay hidden, and so do their outputs."
)
REPLY = (
    "Reply with JSON only: a list of tool calls, each with a name and its arguments. Call the tools in order and end with "
    "finetune. For example:"
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "augment": {
        "use_basic_augmentations": True,
        "use_size_augmentations": False,
        "use_chain_augmentations": True,
        "use_repeat_augmentations": False,
    },
    "training": {"strategy": "train_using_output_tokens", "learning_rate": 0.0001, "num_train_epochs": 2},
    "finetune": {},
}
"""Arguments shown as an example; a test holds them against the tools' schemas."""


def observation_text(
    description: str, tool_names: Sequence[str], budget: Budget, max_turns: int, batch_size: int = Recipe.batch_size
) -> str:
    """The prompt: role, the task as `description`, tools, budget, form of the reply. `description` is used as it is."""
    tools = get_tools(tool_names)
    parts = [
        ROLE,
        f"Task:\n{description}",
        "Tools:\n" + "\n".join(map(_tool_text, tools)),
        _budget_text(budget, max_turns, batch_size),
        f"{REPLY}\n{example_action(tool_names)}",
    ]
    return "\n\n".join(parts)


def chat_messages(observation: str) -> tuple[Message, ...]:
    """An observation as a chat: system message, user message."""
    return (Message("system", SYSTEM), Message("user", observation))


def example_action(tool_names: Sequence[str]) -> str:
    """One valid action, in the form that the prompt asks for."""
    return json.dumps([{"name": name, "arguments": EXAMPLES[name]} for name in tool_names])


def _tool_text(tool: Tool[Any]) -> str:
    fields = arguments_schema(tool.arguments)["properties"]
    lines = [f"- {name}: {legal_values(schema)}. {schema['description']}" for name, schema in fields.items()]
    return "\n".join([f"{tool.name}: {tool.description}", *lines])


def _budget_text(budget: Budget, max_turns: int, batch_size: int) -> str:
    turns = (
        "You have one reply."
        if max_turns == 1
        else f"You have {max_turns} replies; before finetune each is answered with what the tools made of it."
    )
    return (
        f"Budget: at most {budget.max_steps} optimizer steps (epochs x examples / {batch_size}). Examples of "
        f"{budget.max_tokens} tokens or more are dropped, and at most {budget.max_examples} are kept. {turns}"
    )
