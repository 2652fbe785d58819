"""The optional tool `recipe`: what it sets reaches the update, and environments without it are as they were."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import pytest

from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.inner_loop.optim import registry
from seal_env.report.self_edit_short import self_edit_short
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.numeric_actions import make_numeric_actions
from seal_env.self_edits.optional_tools import optional_tools
from seal_env.self_edits.prompt import example_action
from seal_env.settings import Settings
from seal_env.tools.registry import json_schemas
from seal_env.types import Answer, LoraSpec, Outcome, Step, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

TOOLS = ("augment", "training", "recipe", "finetune")
CHOSEN = {"batch_size": 4, "optimizer": "sgd", "schedule": "linear", "weight_decay": 0.01, "rank": 4, "layers": "attention"}


class Solver(FakeInnerLoop):
    """Everything is answered right."""

    def result(self, job: UpdateJob) -> UpdateResult:
        answers = tuple(Answer(query.query_id, True, query.answer, 1.0) for query in job.queries_Q)
        return UpdateResult(Outcome.OK, "", answers)


def played(chosen: dict[str, Any], **settings: Any) -> tuple[Step, list[UpdateJob], Settings]:
    """One self-edit with these arguments of `recipe`, its jobs, and the settings."""
    loop, resolved = Solver(), Settings.resolve(subset="mini-train:1", tools=TOOLS, max_examples=8, **settings)
    runtime = Runtime(resolved, loop)
    calls = json.loads(example_action(runtime.tools))
    calls[2]["arguments"] = chosen
    (step,) = play([Episode(runtime, next(iter(runtime.taskset)), 0)], [calls], BaseAnswerCache(1))
    return step, loop.jobs, resolved


def test_what_it_sets_is_in_the_job() -> None:
    step, jobs, settings = played(CHOSEN)
    recipe, lora = jobs[-1].recipe, jobs[-1].lora
    assert (recipe.batch_size, recipe.optimizer, recipe.schedule, recipe.weight_decay) == (4, "sgd", "linear", 0.01)
    assert lora == LoraSpec(4, 4 * settings.lora_alpha / settings.lora_rank, ("q_proj", "v_proj"))
    assert step.info["outcome"] == "ok"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("rank", 257),
        ("optimizer", "lion"),
        ("schedule", "a"),
        ("weight_decay", -1),
        ("layers", "head"),
    ],
)
def test_what_is_not_legal_is_a_mistake_of_the_agent(name: str, value: object) -> None:
    step, jobs, _ = played(CHOSEN | {name: value})
    assert (step.info["outcome"], jobs) == ("invalid_arguments", [])
    assert name in step.info["reason"]


def test_registered_optimizers_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.OPTIMIZERS, "adamw_again", registry.OPTIMIZERS["adamw"])
    _, jobs, _ = played(CHOSEN | {"optimizer": "adamw_again"})
    assert jobs[-1].recipe.optimizer == "adamw_again"


def test_there_is_no_adapter_to_choose_where_all_weights_are_trained() -> None:
    (tool,) = optional_tools(method="full")
    assert list(json_schemas([tool])["recipe"]["properties"]) == ["batch_size", "optimizer", "schedule", "weight_decay"]


@pytest.mark.parametrize(
    ("targets", "choices"),
    [(("q_proj", "up_proj"), ["all", "attention", "mlp"]), (("q_proj", "v_proj"), ["all"]), (("up_proj",), ["all"])],
)
def test_every_choice_of_layers_adapts_some(targets: tuple[str, ...], choices: list[str]) -> None:
    (tool,) = optional_tools(LoraSpec(target_modules=targets))
    layers = json_schemas([tool])["recipe"]["properties"]["layers"]
    assert layers.get("enum", [layers.get("const")]) == choices


def test_numbers_stand_for_all_of_it() -> None:
    (tool,) = optional_tools()
    actions = make_numeric_actions("box", ActionSpec((tool,)))
    actions.space.seed(0)
    for _ in range(20):
        text = actions.decode(actions.space.sample())
        assert ActionSpec((tool,)).contains(text)


def test_tables_show_it() -> None:
    assert (
        self_edit_short([{"name": "recipe", "arguments": CHOSEN}], optional_tools()) == "b4 sgd linear wd0.01 r4 attention"
    )


def test_updates_of_other_ranks_and_layers_are_real_and_the_base_model_stays() -> None:
    env: Any = gym.make("SEAL-ARC-v0", subset="mini-train:1", tools=TOOLS, max_examples=4, cache="off").unwrapped
    env.reset(seed=0)
    counts = []
    for layers in ("attention", "all"):
        calls = json.loads(env.action_space.sample())
        calls[1]["arguments"] = {"strategy": "train_using_output_tokens", "learning_rate": 1e-3, "num_train_epochs": 1}
        calls[2]["arguments"] = CHOSEN | {"layers": layers, "optimizer": "adamw"}
        env.reset(seed=0)
        info = env.step(json.dumps(calls))[4]
        assert info["losses"], info["reason"]
        counts.append(sorted(info["adapted"]))
    assert counts == [["q_proj", "v_proj"], ["down_proj", "gate_proj", "q_proj", "up_proj", "v_proj"]]
    env.close()
