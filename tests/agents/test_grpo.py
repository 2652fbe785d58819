"""GRPO: tools as TRL sees them, one call of the inner loop for a batch, mistakes and failures, policies that call tools."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
from transformers.utils.chat_template_utils import get_json_schema
from trl.chat_template_utils import qwen2_5_chat_template

from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.rollouts import Start
from seal_env.agents.trainers.grpo import Grpo, calls_tools
from seal_env.agents.trainers.settings import GrpoSettings
from seal_env.agents.trainers.trl_episodes import (
    CLOSED,
    OVER,
    prompt_dataset,
    self_edit_environments,
    self_edit_reward,
)
from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import SettingError, UpdateError
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.self_edits.prompt import chat_messages, example_action
from seal_env.settings import Settings
from seal_env.tools.registry import openai_tools
from tests.helpers.inner_loops import NotingInnerLoop
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EXAMPLES


def make_world(max_turns: int = 8, subset: str = "mini-train:2", **settings: Any) -> Runtime:
    given = {"decode": "never", "max_examples": 4, "device": "cpu", "cache": "off", **settings}
    runtime = Runtime(Settings.resolve(subset=subset, max_turns=max_turns, **given))
    runtime.load()
    return runtime


@pytest.fixture
def runtime() -> Runtime:
    return make_world()


def counted(runtime: Runtime, broken: Sequence[int] = ()) -> NotingInnerLoop:
    counting = NotingInnerLoop(runtime.inner_loop, broken)
    runtime.use(counting)
    return counting


def begun(runtime: Runtime, place: int = 0, seed: int = 3) -> Any:
    environment = self_edit_environments(runtime)()
    assert environment.reset(task_id=runtime.taskset.task_ids[place], seed=seed, prompt=[]) is None
    return environment


def call_all(environment: Any, **training: Any) -> list[str]:
    return [
        environment.augment(**EXAMPLES["augment"]),
        environment.training(**{**EXAMPLES["training"], **training}),
        environment.finetune(),
    ]


def rewards_of(runtime: Runtime, completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """As TRL has them, on an event loop."""
    return asyncio.run(self_edit_reward(runtime)(completions, **columns))


NOTHING = [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize("tool", openai_tools(ARC_TOOLS), ids=ARC_NAMES)
def test_a_tool_method_has_the_schema_of_its_tool(runtime: Runtime, tool: dict[str, Any]) -> None:
    expected = tool["function"]
    found = get_json_schema(getattr(begun(runtime), expected["name"]))["function"]
    assert (found["name"], found["description"]) == (expected["name"], expected["description"])
    mine, theirs = found["parameters"].get("properties", {}), expected["parameters"]["properties"]
    assert list(mine) == list(theirs)
    for name, schema in theirs.items():
        assert {key: mine[name][key] for key in mine[name]} == {key: schema[key] for key in mine[name]}
        assert {"type", "description"} <= set(mine[name])
        assert ("enum" in schema) == ("enum" in mine[name])
    assert found["parameters"].get("required", []) == expected["parameters"]["required"]


def test_nothing_but_the_tools_and_reset_is_public(runtime: Runtime) -> None:
    functions = {name for name, _ in inspect.getmembers(type(begun(runtime)), inspect.isfunction) if name[0] != "_"}
    assert functions == {"reset", *ARC_NAMES}


def test_calls_are_noted_and_no_update_is_run(runtime: Runtime) -> None:
    counting, environment = counted(runtime), begun(runtime)
    replies = call_all(environment)
    plain = Episode(runtime, environment.episode.task, 3)
    for reply, call in zip(replies[:2], json.loads(example_action(ARC_TOOLS)), strict=False):
        step = plain.decide([call])
        assert not isinstance(step, PendingUpdate)
        assert reply == step[0]
    assert replies[2] == CLOSED
    assert isinstance(environment.decisions[-1], PendingUpdate)
    assert environment.finetune() == OVER
    assert len(environment.decisions) == 3
    assert counting.calls == []


def test_one_call_of_the_inner_loop_settles_a_batch_and_pays_what_the_environment_pays(runtime: Runtime) -> None:
    environments = [begun(runtime, place) for place in (0, 0, 1)]
    for environment, epochs in zip(environments, (1, 2, 1), strict=True):
        call_all(environment, num_train_epochs=epochs, learning_rate=1e-3)
    counting = counted(runtime)
    rewards = rewards_of(runtime, [NOTHING] * 3, environments=environments)
    assert list(map(len, counting.calls)) == [2 + 3]
    expected = []
    for place, epochs in ((0, 1), (0, 2), (1, 1)):
        action = json.loads(example_action(ARC_TOOLS))
        action[1]["arguments"] |= {"num_train_epochs": epochs, "learning_rate": 1e-3}
        episode = Episode(runtime, runtime.taskset[runtime.taskset.task_ids[place]], 3)
        expected.append(play([episode], [action], BaseAnswerCache(1))[0][1])
    assert rewards == expected


def test_texts_are_whole_actions_and_one_call_settles_them_too() -> None:
    runtime = make_world(max_turns=1)
    counting, metrics = counted(runtime), dict[str, float]()
    texts = [example_action(ARC_TOOLS), "no JSON", example_action(ARC_TOOLS[:2])]
    task_ids = [runtime.taskset.task_ids[0]] * 3
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    rewards = rewards_of(runtime, completions, task_id=task_ids, seed=[1, 1, 1], log_metric=metrics.__setitem__)
    assert list(map(len, counting.calls)) == [2]
    assert rewards[0] is not None
    assert rewards[1:] == [0.0, 0.0]
    assert metrics == {"self_edit/valid": pytest.approx(1 / 3), "self_edit/failed": 0.0}
    assert rewards_of(runtime, texts, task_id=task_ids, seed=[1, 1, 1]) == rewards


async def test_calls_that_overlap_share_a_batch_and_pay_the_same() -> None:
    runtime = make_world(max_turns=1)
    counting, reward = counted(runtime), self_edit_reward(runtime)
    assert inspect.iscoroutinefunction(reward)  # by which every TRL knows that it has to be awaited
    task_ids, actions = list(runtime.taskset.task_ids), [example_action(ARC_TOOLS), "no JSON"]
    calls = (reward(actions, task_id=[task_id] * 2, seed=[1, 1]) for task_id in task_ids)
    together = await asyncio.gather(*calls)
    assert list(map(len, counting.calls)) == [4]
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=0) as engine:
        given = self_edit_reward(runtime, engine)
        assert [await given(actions, task_id=[task_id] * 2, seed=[1, 1]) for task_id in task_ids] == together
    with pytest.raises(RuntimeError, match="closed"):
        await given(actions[:1], task_id=task_ids[:1], seed=[1])


def test_a_failure_of_the_machine_is_none_and_a_mistake_is_the_invalid_reward() -> None:
    runtime = make_world(invalid_reward=-0.5)
    good, failed, left_open, wrong, silent = (begun(runtime, 0) for _ in range(5))
    call_all(good)
    call_all(failed, num_train_epochs=3)
    left_open.augment(**EXAMPLES["augment"])
    wrong.training(**{**EXAMPLES["training"], "learning_rate": 7})
    counting = counted(runtime, broken=[2])  # the base model is asked first, then `good`, then `failed`
    environments = [good, failed, left_open, wrong, silent]
    metrics: dict[str, float] = {}
    rewards = rewards_of(runtime, [NOTHING] * 5, environments=environments, log_metric=metrics.__setitem__)
    assert list(map(len, counting.calls)) == [3]
    assert rewards[0] is not None
    assert rewards[0] >= 0
    assert rewards[1:] == [None, -0.5, -0.5, -0.5]
    assert metrics == {"self_edit/valid": pytest.approx(0.2), "self_edit/failed": pytest.approx(0.2)}


def test_a_batch_in_which_the_machine_failed_everywhere_is_an_error() -> None:
    runtime = make_world(max_turns=1)
    counted(runtime, broken=range(9))
    task_ids = list(runtime.taskset.task_ids)
    with pytest.raises(UpdateError, match="no self-edit of a batch has a reward, since all failed: engine_error: lost"):
        rewards_of(runtime, [example_action(ARC_TOOLS)] * 2, task_id=task_ids, seed=[1, 1])


def test_a_wrong_argument_is_told_and_can_be_mended() -> None:
    runtime = make_world(invalid_reward=-0.5)
    environment = begun(runtime)
    assert "learning_rat" in environment.training(**{**EXAMPLES["training"], "learning_rat": 1})
    call_all(environment)
    (reward,) = rewards_of(runtime, [NOTHING], environments=[environment])
    assert reward is not None
    assert reward >= -0.5
    assert [turn[1] for turn in environment.decisions if not isinstance(turn, PendingUpdate)] == [-0.5, 0.0, 0.0]


def test_a_completion_that_calls_no_tool_is_read_as_a_whole_action(runtime: Runtime) -> None:
    counting, environment = counted(runtime), begun(runtime)
    native = "".join(f"<tool_call>{json.dumps(each)}</tool_call>" for each in json.loads(example_action(ARC_TOOLS)))
    rewards_of(runtime, [[{"role": "assistant", "content": native}]], environments=[environment])
    assert list(map(len, counting.calls)) == [2]


@pytest.mark.parametrize("columns", [{}, {"task_id": ["mini-train-0-0"]}])
def test_a_data_set_that_names_no_episodes_is_refused(runtime: Runtime, columns: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"^train_dataset=.*columns task_id and seed"):
        rewards_of(runtime, ["[]"], **columns)


def test_an_environment_is_used_again(runtime: Runtime) -> None:
    environment = begun(runtime)
    call_all(environment)
    environment.reset(task_id=runtime.taskset.task_ids[1], seed=4)
    assert environment.decisions == []
    assert call_all(environment)[-1] == CLOSED


def test_prompts_are_those_of_the_environment(runtime: Runtime) -> None:
    task_id = runtime.taskset.task_ids[1]
    (row,) = prompt_dataset(runtime, [Start(task_id, 5)])
    opening = Episode(runtime, runtime.taskset[task_id], 5).opening()[0]
    assert [each["content"] for each in row["prompt"]] == [each.content for each in chat_messages(opening)]
    assert (row["task_id"], row["seed"]) == (task_id, 5)


def test_tools_are_called_where_the_template_has_them(tiny_models: dict[str, str], runtime: Runtime) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    assert not calls_tools(tokenizer, runtime.spec)
    with pytest.raises(SettingError, match="tool_calls='on'"):
        calls_tools(tokenizer, runtime.spec, "on")
    tokenizer.chat_template = qwen2_5_chat_template
    assert calls_tools(tokenizer, runtime.spec, "on")
    assert not calls_tools(tokenizer, runtime.spec, "off")
    assert getattr(tokenizer, "response_template", None) is None
    assert not calls_tools(load_base_model("seal-tiny", "cpu").tokenizer, runtime.spec)


def test_too_few_turns_for_the_tools_are_refused() -> None:
    with pytest.raises(SettingError, match="max_turns=1"):
        self_edit_environments(make_world(max_turns=1))


@pytest.fixture(scope="module")
def tool_model(tiny_models: dict[str, str]) -> FrozenLM:
    """Random weights under a template with tools, and room for a prompt."""
    import torch

    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.chat_template = qwen2_5_chat_template
    torch.manual_seed(0)
    small = AutoModelForCausalLM.from_pretrained(tiny_models["qwen2"]).config.to_dict()
    model = Qwen2ForCausalLM(Qwen2Config(**{**small, "max_position_embeddings": 16384}))
    model.requires_grad_(False).eval()
    return FrozenLM("tiny-qwen2", model, tokenizer, torch.device("cpu"), 16384)


@pytest.mark.slow
def test_a_policy_that_calls_tools_is_trained_through_the_environment_factory(
    tmp_path: Path, tool_model: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sampled is written here, all else is TRL's: its parser, its loop of tools, its reward and its step."""
    runtime = make_world()
    settings = GrpoSettings(steps=1, prompts=1, samples=2, learning_rate=1e-2)
    policy = LocalPolicyOptions(max_new_tokens=4096)
    frozen = copy.deepcopy(tool_model.model.state_dict())
    run = Grpo(tool_model, runtime, make_world(max_turns=1), settings, policy, tmp_path)
    assert run.tools
    trainer, tokenizer = run.trainer(), tool_model.tokenizer
    calls = json.loads(example_action(ARC_TOOLS))
    written = [[f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls], ["I cannot.", "", ""]]
    asked: list[int] = []

    def sample(prompts: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        turn = len(asked)
        asked.append(len(prompts))
        said = [texts[turn] if turn < 3 else "Done." for texts in written[: len(prompts)]]
        return [tokenizer.encode(f"{text}<|im_end|>") for text in said], None

    monkeypatch.setattr(trainer, "_generate_single_turn", sample)
    counting = counted(runtime)
    trainer.train()
    assert asked == [2, 1, 1, 1]
    assert list(map(len, counting.calls)) == [2]
    (record,) = [each for each in trainer.state.log_history if "reward" in each]
    assert record["tools/call_frequency"] == 1.5
    assert record["tools/failure_frequency"] == 0
    assert record["self_edit/valid"] == 0.5
    state = tool_model.model.state_dict()
    assert all(bool((state[name] == value).all()) for name, value in frozen.items())


@pytest.mark.slow
def test_a_whole_run_with_a_random_model_that_has_tools(tmp_path: Path, tool_model: FrozenLM) -> None:
    settings = GrpoSettings(steps=2, prompts=1, samples=2, save_every=1, eval_samples=1)
    run = Grpo(
        tool_model,
        make_world(),
        make_world(max_turns=1),
        settings,
        LocalPolicyOptions(max_new_tokens=16),
        tmp_path,
        log=print,
    )
    result = run.run()
    assert result["tools"]
    assert [record["self_edit/valid"] for record in result["training"]] == [0, 0]
    assert [part["valid"]["mean"] for part in result["held_out"]] == [0, 0]
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
