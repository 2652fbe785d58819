"""What every registered tool keeps to. A new tool is tested by being registered and by an example of its arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tools.base import Draft, EditContext, Tool
from seal_env.tools.registry import json_schemas, openai_tools, self_edit_schema
from seal_env.tools.schema import arguments_schema, legal_values
from seal_env.types import TrainingConfig
from tests.helpers.tools import EXAMPLES, KNOWLEDGE_NAMES, TOOLS

ARC = next(iter(load_taskset("mini-train:1"))).context
PASSAGE = next(iter(load_passages("synthetic-train:1"))).context
ALL = list(TOOLS.values())
SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.none()
)


def context_of(tool: Tool[Any]) -> EditContext:
    is_text = tool.name in KNOWLEDGE_NAMES
    return EditContext(PASSAGE if is_text else ARC, 3, KnowledgeDomain(LexicalGrader()) if is_text else ArcDomain())


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> Tool[Any]:
    return TOOLS[request.param]


def test_the_schema_is_a_schema(tool: Tool[Any]) -> None:
    Draft202012Validator.check_schema(arguments_schema(tool))


def test_the_schema_is_strict(tool: Tool[Any]) -> None:
    schema = arguments_schema(tool)
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"]) == list(tool.arguments.model_fields)


def test_every_field_is_described_and_has_legal_values_in_words(tool: Tool[Any]) -> None:
    for field in arguments_schema(tool)["properties"].values():
        assert field["description"].endswith(".")
        assert "type" not in legal_values(field)


def test_the_name_is_the_key_and_the_tool_is_described(tool: Tool[Any]) -> None:
    assert TOOLS[tool.name] is tool
    assert tool.description.endswith(".")


def test_example_arguments_go_there_and_back(tool: Tool[Any]) -> None:
    example = EXAMPLES[tool.name]
    assert tool.arguments.model_validate(example).model_dump() == example
    assert Draft202012Validator(arguments_schema(tool)).is_valid(example)


def test_apply_is_pure(tool: Tool[Any]) -> None:
    draft, arguments = Draft(training=TrainingConfig(num_train_epochs=7)), tool.arguments.model_validate(EXAMPLES[tool.name])
    first, second = (tool.apply(draft, context_of(tool), arguments) for _ in range(2))
    assert first == second != draft
    assert draft == Draft(training=TrainingConfig(num_train_epochs=7))


def test_an_equal_call_again_makes_no_further_examples(tool: Tool[Any]) -> None:
    arguments = tool.arguments.model_validate(EXAMPLES[tool.name])
    once = tool.apply(Draft(), context_of(tool), arguments)
    again = tool.apply(once, context_of(tool), arguments)
    assert replace(again, counts=once.counts) == once


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_what_the_schema_allows_pydantic_allows_and_the_other_way_round(data: st.DataObject) -> None:
    tool = data.draw(st.sampled_from(list(TOOLS.values())))
    arguments = dict(EXAMPLES[tool.name])
    for field in data.draw(st.lists(st.sampled_from(["learning_rate", "num_train_epochs", *arguments]), max_size=2)):
        arguments[field] = data.draw(st.one_of(SCALARS, st.sampled_from([0, 1, 1.0, 20, 20.0, 21, 0.5, True])))
    by_schema = Draft202012Validator(arguments_schema(tool)).is_valid(arguments)
    try:
        tool.arguments.model_validate(arguments)
    except ValueError:
        assert not by_schema
    else:
        assert by_schema


def test_openai_tools_are_strict_function_tools() -> None:
    for entry in openai_tools(ALL):
        assert entry["type"] == "function"
        assert entry["function"]["strict"] is True
        assert entry["function"]["parameters"] == json_schemas(ALL)[entry["function"]["name"]]


def test_the_schema_of_a_self_edit_takes_the_examples_and_nothing_else() -> None:
    schema = self_edit_schema(ALL)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid([{"name": name, "arguments": EXAMPLES[name]} for name in TOOLS])
    assert not validator.is_valid([])
    assert not validator.is_valid([{"name": "augment", "arguments": EXAMPLES["training"]}])
    assert not validator.is_valid([{"name": "finetune", "arguments": {}, "id": 1}])


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer", "minimum": 0, "maximum": 20}, "a whole number from 0 to 20"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number above 0 and at most 1"),
        ({"type": "string", "enum": ["a", "b"]}, '"a" or "b"'),
        ({"type": "integer", "minimum": 3}, "a whole number at least 3"),
        ({"type": "integer"}, "a whole number"),
    ],
)
def test_legal_values_in_words(schema: dict[str, Any], words: str) -> None:
    assert legal_values(schema) == words


def test_training_takes_a_whole_learning_rate_as_a_float() -> None:
    arguments = TOOLS["training"].arguments.model_validate(EXAMPLES["training"] | {"learning_rate": 1})
    config = TOOLS["training"].apply(Draft(), EditContext(ARC, 3, None), arguments).training
    assert config is not None
    assert (config.learning_rate, type(config.learning_rate)) == (1.0, float)


def test_training_takes_a_whole_float_of_epochs_as_an_integer() -> None:
    arguments = TOOLS["training"].arguments.model_validate(EXAMPLES["training"] | {"num_train_epochs": 3.0})
    config = TOOLS["training"].apply(Draft(), EditContext(ARC, 3, None), arguments).training
    assert config is not None
    assert (config.num_train_epochs, type(config.num_train_epochs)) == (3, int)


@pytest.mark.parametrize("tools", ["finetune", "training,finetune"])
def test_tools_that_never_make_an_example_are_refused(tools: str) -> None:
    with pytest.raises(SettingError, match=f"tools='{tools}' is not legal; expected some that make examples: augment"):
        Runtime(Settings.resolve(subset="mini-train:1", tools=tools))
    knowledge: dict[str, Any] = {"domain": "knowledge", "subset": "synthetic-train:1", "tools": tools}
    Runtime(Settings.resolve(**knowledge))  # learns the passage
    with pytest.raises(SettingError, match="expected some that make examples: implications or"):
        Runtime(Settings.resolve(**knowledge, learn_passage=False))
