"""A tool from outside seal-env: one pydantic model and one function, from which everything else is derived."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from enum import Enum
from typing import Any, Literal

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import Field, model_validator
from transformers.utils.chat_template_utils import get_json_schema

from seal_env.agents.lm.local.constrained import self_edit_pattern
from seal_env.agents.trainers.trl_episodes import environment_type
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import SettingError
from seal_env.report.self_edit_short import self_edit_short
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.numeric_actions import NUMERIC_FORMS, coordinates, make_numeric_actions
from seal_env.self_edits.prompt import example_action, observation_text
from seal_env.self_edits.validate import check_calls
from seal_env.settings import Settings
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tools import registry
from seal_env.tools.base import Arguments, Draft, EditContext, Tool, sampled_from
from seal_env.tools.example import example_arguments
from seal_env.tools.registry import check_tools, choose_tools, json_schemas, openai_tools, register_tool, self_edit_schema
from seal_env.types import Answer, Budget, InvalidSelfEdit, Outcome, ToolCall, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, KNOWLEDGE_TOOLS


class Colour(Enum):
    """An enumeration of its own."""

    RED = "red"
    BLUE = "blue"


class Warmup(Arguments):
    """Something within."""

    steps: int = Field(ge=0, le=50, description="Steps.")
    shape: Literal["linear", "cosine"] = Field(description="Shape.")


class RecipeArguments(Arguments):
    """An argument of every kind that has numbers for it."""

    batch_size: int = Field(ge=1, le=8, description="Examples of a step.", examples=[4])
    decay: float = Field(ge=1e-6, le=1e-1, description="Weight decay.", json_schema_extra=sampled_from(1e-4, 1e-2))
    share: float = Field(gt=0, lt=1, description="A share.")
    flag: bool = Field(description="A switch.")
    schedule: Literal["cosine", "linear"] = Field(description="Schedule.")
    colour: Colour = Field(description="Colour.")
    version: Literal["one"] = Field(description="Only one.")
    even: int = Field(ge=0, le=20, multiple_of=2, description="Even.")
    limit: int | None = Field(ge=1, le=3, description="Limit, or none.")
    warmup: Warmup = Field(description="Warmup.")


class ListArguments(RecipeArguments):
    """Those, and what no number stands for."""

    layers: list[int] = Field(min_length=1, max_length=5, description="Layers.")
    free: list[float] = Field(description="Any numbers.")
    note: str = Field(min_length=3, max_length=9, description="A note.")
    name: str = Field(pattern=r"^[a-z]+-[0-9]+$", description="A name.", examples=["run-1"])
    stages: list[Warmup] = Field(max_length=2, description="Stages.")

    @model_validator(mode="after")
    def _layers_differ(self) -> ListArguments:
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("layers differ")
        return self


def apply(draft: Draft, context: EditContext, arguments: RecipeArguments) -> Draft:
    own = {"batch_size": arguments.batch_size, "schedule": arguments.schedule, "warmup_steps": arguments.warmup.steps}
    return replace(draft, recipe={**draft.recipe, **own})


NUMERIC = Tool("recipe", "Sets how the update is done.", RecipeArguments, apply, makes_examples=False)
FULL = Tool("full_recipe", "Sets how the update is done, at length.", ListArguments, apply, makes_examples=False)
BOTH = (ARC_TOOLS[0], NUMERIC, FULL, ARC_TOOLS[2])
EXAMPLE = example_arguments(FULL)
each_tool = pytest.mark.parametrize("tool", [NUMERIC, FULL], ids=["numeric", "full"])


@pytest.fixture(autouse=True)
def _only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_tool(NUMERIC)
    register_tool(FULL)


def test_its_published_schemas_are_strict_and_keep_nothing_private() -> None:
    for schema in (*json_schemas(BOTH).values(), self_edit_schema(BOTH)):
        Draft202012Validator.check_schema(schema)
        assert not re.search('"(examples|title|default|x-sample-range)":', json.dumps(schema))
    assert openai_tools(BOTH)[2]["function"]["parameters"]["required"] == list(ListArguments.model_fields)


def test_the_prompt_explains_it_and_its_example_is_valid() -> None:
    text = observation_text(ArcDomain(), BOTH, "", Budget(), max_turns=1)
    assert "- decay: a number from 1e-06 to 0.1. Weight decay." in text
    assert "- limit: a whole number from 1 to 3 or null. Limit, or none." in text
    assert '- warmup: an object with steps (a whole number from 0 to 50), shape ("linear" or "cosine"). Warmup.' in text
    assert "- note: a text of 3 to 9 characters. A note." in text
    assert text.endswith(example_action(BOTH))
    assert example_action(BOTH) in SelfEditSpace(BOTH)


def test_examples_are_those_declared_or_else_derived() -> None:
    assert (EXAMPLE["batch_size"], EXAMPLE["name"]) == (4, "run-1")
    assert (EXAMPLE["decay"], EXAMPLE["share"], EXAMPLE["flag"]) == (1e-3, 0.5, True)
    assert (EXAMPLE["colour"], EXAMPLE["version"], EXAMPLE["even"], EXAMPLE["limit"]) == ("red", "one", 10, 2)
    assert EXAMPLE["stages"] == [EXAMPLE["warmup"]] == [{"steps": 25, "shape": "linear"}]


def test_what_the_space_draws_is_in_it_and_covers_the_ranges() -> None:
    space = SelfEditSpace(BOTH, {"recipe.warmup.steps": (3, 4), "full_recipe.layers": (0, 2)}, seed=0)
    samples = [space.sample() for _ in range(300)]
    assert all(sample in space for sample in samples)
    drawn = [json.loads(sample)[1]["arguments"] for sample in samples]
    assert {each["warmup"]["steps"] for each in drawn} == {3, 4}
    assert {each["limit"] for each in drawn} == {1, 2, 3, None}
    assert {each["even"] for each in drawn} == set(range(0, 21, 2))
    assert {each["colour"] for each in drawn} == {"red", "blue"}
    assert 60 < sum(each["decay"] < 1e-3 for each in drawn) < 240
    assert all(0 < each["share"] < 1 and 1e-4 <= each["decay"] <= 1e-2 for each in drawn)
    assert {layer for sample in samples for layer in json.loads(sample)[2]["arguments"]["layers"]} == {0, 1, 2}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"batch_size": 9},
            "The argument batch_size of full_recipe is not valid: expected a whole number from 1 to 8, got 9.",
        ),
        ({"warmup": {"steps": 1}}, 'The argument warmup of full_recipe needs shape ("linear" or "cosine") too.'),
        ({"stages": [{"steps": 1, "shape": "linear", "x": 1}]}, 'The argument "x" of full_recipe.stages[0] is not known'),
        ({"stages": [{"steps": "1", "shape": "linear"}]}, "The argument stages[0].steps of full_recipe is not valid"),
        (
            {"limit": 4},
            "limit of full_recipe is not valid: expected a whole number from 1 to 3 or null, got 4.",
        ),
        ({"layers": [1, 1]}, "The arguments of full_recipe are not valid: Value error, layers differ"),
        ({"layers": []}, "The argument layers of full_recipe is not valid: expected a list of 1 to 5"),
        ({"colour": "green"}, 'expected "red" or "blue", got "green"'),
    ],
)
def test_a_mistake_is_named_by_its_path(changed: dict[str, Any], words: str) -> None:
    found = check_calls([ToolCall("full_recipe", EXAMPLE | changed)], BOTH)
    assert isinstance(found, InvalidSelfEdit)
    assert words in found.reason


def test_whole_floats_are_whole_numbers() -> None:
    given = EXAMPLE | {"batch_size": 2.0, "limit": 3.0, "layers": [1.0], "warmup": {"steps": 5.0, "shape": "linear"}}
    checked = check_calls([ToolCall("full_recipe", given)], BOTH)
    assert not isinstance(checked, InvalidSelfEdit)
    made = checked[0][1].model_dump()
    assert [type(value) for value in (made["batch_size"], made["limit"], made["layers"][0], made["warmup"]["steps"])] == [
        int
    ] * 4


@pytest.mark.parametrize("form", NUMERIC_FORMS)
def test_numeric_actions_go_there_and_back(form: str) -> None:
    spec = ActionSpec((ARC_TOOLS[0], NUMERIC, ARC_TOOLS[2]))
    actions = make_numeric_actions(form, spec)
    space = actions.space
    space.seed(0)
    for _ in range(50):
        text = actions.decode(space.sample())
        assert spec.contains(text)
        assert actions.decode(actions.encode(text)) == text
    assert [each.argument for each in actions.coordinates][-2:] == ["warmup.steps", "warmup.shape"]


def test_what_no_number_stands_for_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match=r"tools='full_recipe'.* but layers is"):
        coordinates(ActionSpec(BOTH))


def test_the_grammar_of_constrained_decoding_matches_what_the_space_draws() -> None:
    tools = (NUMERIC, ARC_TOOLS[2])
    space, pattern = SelfEditSpace(tools, seed=0), re.compile(self_edit_pattern(tools))
    assert all(pattern.fullmatch(space.sample()) for _ in range(20))
    assert not pattern.fullmatch(example_action(tools).replace('"version": "one"', '"version": "two"'))


@each_tool
def test_trl_calls_it_as_a_method(tool: Tool[Any]) -> None:
    method = getattr(environment_type((tool, ARC_TOOLS[2])), tool.name)
    found = get_json_schema(method)["function"]
    assert (found["name"], found["description"]) == (tool.name, tool.description)
    fields, published = found["parameters"]["properties"], json_schemas([tool])[tool.name]["properties"]
    assert list(fields) == list(published)
    assert all(fields[name]["description"].startswith(each["description"]) for name, each in published.items())
    assert fields["warmup"]["type"] == "object"
    assert "steps (a whole number from 0 to 50)" in fields["warmup"]["description"]
    assert (fields["batch_size"]["type"], fields["share"]["type"], fields["flag"]["type"]) == (
        "integer",
        "number",
        "boolean",
    )


def test_tables_show_it() -> None:
    assert self_edit_short([{"name": "recipe", "arguments": {"batch_size": 4, "decay": 1e-5, "flag": True}}]) == (
        "recipe 4 1.0e-05 flag"
    )


def test_it_is_chosen_by_name_beside_the_domain_s_own() -> None:
    assert choose_tools(ARC_TOOLS, ["augment", "recipe", "finetune"]) == (ARC_TOOLS[0], NUMERIC, ARC_TOOLS[2])
    assert choose_tools(ARC_TOOLS, None) == ARC_TOOLS
    with pytest.raises(SettingError, match="tools='dream' is not legal; expected some of recipe, full_recipe, augment"):
        choose_tools(ARC_TOOLS, ["dream"])


def test_tools_that_do_not_go_together_are_refused() -> None:
    for tools in (ARC_TOOLS[:2], (*ARC_TOOLS, NUMERIC), (NUMERIC, *ARC_TOOLS[:1] * 2, ARC_TOOLS[2])):
        with pytest.raises(SettingError, match="of which finetune is the last"):
            check_tools(tools, ArcDomain())
    with pytest.raises(SettingError, match="this one needs TextSource"):
        check_tools(KNOWLEDGE_TOOLS, ArcDomain())


def test_names_and_arguments_that_nothing_could_be_derived_from_are_refused() -> None:
    class Mapped(Arguments):
        table: dict[str, int] = Field(description="A table.")

    class Bare(Arguments):
        number: int

    with pytest.raises(SettingError, match=r"argument='mapped\.table'"):
        register_tool(Tool("mapped", "A tool.", Mapped, apply))
    with pytest.raises(SettingError, match=r"description of bare\.number"):
        Tool("bare", "A tool.", Bare, apply)  # type: ignore[arg-type]
    for name in ("reset", "Two Words", "über", ""):
        with pytest.raises(SettingError, match="tool name="):
            Tool(name, "A tool.", RecipeArguments, apply)
    with pytest.raises(SettingError, match="name='recipe'"):
        register_tool(replace(NUMERIC, description="Another one."))


class CountingInnerLoop(FakeInnerLoop):
    """Everything is answered right."""

    def result(self, job: UpdateJob) -> UpdateResult:
        answers = tuple(Answer(query.query_id, True, query.answer, 1.0) for query in job.queries_Q)
        return UpdateResult(Outcome.OK, "", answers)


def test_what_it_overrides_is_in_the_job_and_in_the_budget() -> None:
    settings = Settings.resolve(subset="mini-train:1", tools=[*ARC_NAMES[:2], "recipe", "finetune"], max_examples=8)
    runtime = Runtime(settings, CountingInnerLoop())
    episode = Episode(runtime, next(iter(runtime.taskset)), 0)
    calls = json.loads(example_action(runtime.tools))
    step = play([episode], [calls], BaseAnswerCache(1))[0]
    job = runtime.inner_loop.jobs[-1]  # type: ignore[attr-defined]
    assert (job.recipe.batch_size, job.recipe.schedule, job.recipe.warmup_steps) == (4, "cosine", 25)
    assert step.info["optimizer_steps"] == 2 * -(-step.info["examples"] // 4)
    assert job.recipe == replace(settings.recipe, batch_size=4, schedule="cosine", warmup_steps=25)


def test_equal_seeds_give_equal_draws() -> None:
    first, second = (ActionSpec(BOTH).sample(np.random.default_rng(7)) for _ in range(2))
    assert first == second
