"""The self-edit prompt: complete, short, and in wording that the embedded model's tokenizer knows."""

from __future__ import annotations

from importlib.resources import files

import pytest

from seal_env.prompts import EXAMPLES, REPLY, ROLE, SYSTEM, chat_messages, example_action, observation_text
from seal_env.self_edit import optimizer_steps
from seal_env.spaces import SelfEditSpace
from seal_env.tools.registry import ARC_TOOLS, TOOLS
from seal_env.types import Budget, Message, Recipe

TEXT = observation_text("<the demonstrations>", ARC_TOOLS, Budget(), max_turns=8)


def test_the_prompt_is_short() -> None:
    assert len(TEXT.split()) <= 350


@pytest.mark.parametrize("name", ARC_TOOLS)
def test_every_tool_is_there_with_all_its_arguments(name: str) -> None:
    assert f"{name}: {TOOLS[name].description}" in TEXT
    for field, info in TOOLS[name].arguments.model_fields.items():
        assert f"- {field}: " in TEXT
        assert str(info.description) in TEXT


def test_a_tool_that_is_not_offered_is_not_there() -> None:
    assert "augment: " not in observation_text("", ("training", "finetune"), Budget(), 1)


def test_the_task_is_there_as_it_is() -> None:
    assert "Task:\n{a} %s \\n\n\n" in observation_text("{a} %s \\n", ARC_TOOLS, Budget(), 1)


def test_the_budget_is_there() -> None:
    text = observation_text("", ARC_TOOLS, Budget(11, 22, 33), max_turns=1, batch_size=5)
    assert "at most 11 optimizer steps (epochs x examples / 5)" in text
    assert "33 tokens or more are dropped, and at most 22 are kept" in text
    assert "You have one reply." in text
    assert "You have 8 replies" in TEXT


def test_the_example_is_valid_and_within_the_usual_budget() -> None:
    assert TEXT.endswith(example_action(ARC_TOOLS))
    assert example_action(ARC_TOOLS) in SelfEditSpace()
    assert (
        optimizer_steps(Budget.max_examples, EXAMPLES["training"]["num_train_epochs"], Recipe.batch_size) <= Budget.max_steps
    )


def test_the_chat_is_system_and_user() -> None:
    assert chat_messages("hello") == (Message("system", SYSTEM), Message("user", "hello"))


@pytest.mark.parametrize("sentence", [ROLE.split("\n")[1], REPLY.removesuffix(" For example:")])
def test_fixed_sentences_are_those_that_the_tokenizer_learnt(sentence: str) -> None:
    assert sentence in files("seal_env.embedded").joinpath("english.txt").read_text(encoding="utf-8")
