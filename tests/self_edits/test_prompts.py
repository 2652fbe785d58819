"""The self-edit prompt: complete, short, and in wording that the bundled model's tokenizer knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seal_env.envs.spaces import SelfEditSpace
from seal_env.self_edits.compile import optimizer_steps
from seal_env.self_edits.prompt import SYSTEM, chat_messages, example_action, observation_text
from seal_env.settings import Settings
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair
from seal_env.types import Budget, Message, Recipe
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EXAMPLES, TOOLS

ARC = ArcDomain()
TEXT = observation_text(ARC, ARC_TOOLS, "<the demonstrations>", Budget(), max_turns=8)


def test_the_prompt_is_short() -> None:
    assert len(TEXT.split()) <= 350


@pytest.mark.parametrize("name", ARC_NAMES)
def test_every_tool_is_there_with_all_its_arguments(name: str) -> None:
    assert f"{name}: {TOOLS[name].description}" in TEXT
    for field, info in TOOLS[name].arguments.model_fields.items():
        assert f"- {field}: " in TEXT
        assert str(info.description) in TEXT


def test_a_tool_that_is_not_offered_is_not_there() -> None:
    assert "augment: " not in observation_text(ARC, ARC_TOOLS[1:], "", Budget(), 1)


def test_the_task_is_there_as_it_is() -> None:
    assert "Task:\n{a} %s \\n\n\n" in observation_text(ARC, ARC_TOOLS, "{a} %s \\n", Budget(), 1)


def test_the_budget_is_there() -> None:
    text = observation_text(ARC, ARC_TOOLS, "", Budget(11, 22, 33), max_turns=1, batch_size=5)
    assert "at most 11 optimizer steps (epochs x examples / 5)" in text
    assert "33 tokens or more are dropped, and at most 22 are kept" in text
    assert "You have one reply." in text
    assert "You have 8 replies" in TEXT


def test_the_budget_of_tokens_is_there_where_it_is_to_be_named() -> None:
    text = observation_text(ARC, ARC_TOOLS, "", Budget(11, 22, 33, 44), max_turns=1, names_tokens=True)
    assert (
        "at most 11 optimizer steps (epochs x examples / 2) and 44 training tokens (epochs x tokens of the examples)."
        in text
    )
    assert "training tokens" not in TEXT


def test_the_budget_of_tokens_is_named_unless_it_is_a_bundled_model_s_own() -> None:
    assert not Settings.resolve().prompt_names_tokens
    assert not Settings.resolve(domain="knowledge").prompt_names_tokens
    assert Settings.resolve(max_training_tokens=1000).prompt_names_tokens
    assert Settings.resolve(model="some/other").prompt_names_tokens


def test_the_example_is_valid_and_within_the_usual_budget() -> None:
    assert TEXT.endswith(example_action(ARC_TOOLS))
    assert example_action(ARC_TOOLS) in SelfEditSpace(ARC_TOOLS)
    assert (
        optimizer_steps(Budget.max_examples, EXAMPLES["training"]["num_train_epochs"], Recipe.batch_size) <= Budget.max_steps
    )


def test_the_chat_is_system_and_user() -> None:
    assert chat_messages("hello") == (Message("system", SYSTEM), Message("user", "hello"))


def numberless_lines(text: str) -> set[str]:
    """Lines with every number as 0: to the tokenizer each digit is a token of its own."""
    return {re.sub(r"\d+", "0", line) for line in text.splitlines()}


@pytest.mark.parametrize("max_turns", [1, 8])
def test_every_sentence_is_one_that_the_tokenizer_learnt(max_turns: int) -> None:
    settings, grid = Settings(), ((1, 2), (3, 4))
    task = ArcDomain("lettered").render((GridPair(grid, grid),) * 3)
    chat = chat_messages(observation_text(ARC, ARC_TOOLS, task, settings.budget, max_turns, settings.recipe.batch_size))
    learnt = Path("recipes/prompts.txt").read_text(encoding="utf-8")
    assert numberless_lines("\n".join(message.content for message in chat)) - numberless_lines(learnt) == set()
