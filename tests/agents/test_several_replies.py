"""Self-edits of several replies: a mix of styles, and the best of several by a proxy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.agents.baselines.fixed import FixedAgent
from seal_env.agents.evaluation import EvalSample
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.local_hf import LocalHFAgent
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.proxies import PROXIES, best
from seal_env.agents.lm.local.sampling import Generation
from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.lm.text_styles import STYLES, style_messages
from seal_env.agents.rollouts import Start
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.agents.trainers.settings import RestEmSettings
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.self_edits.parse_text import parse_or_read, read_texts
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.settings import Settings
from seal_env.types import InvalidSelfEdit
from tests.helpers.tools import KNOWLEDGE_TOOLS


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(Settings.resolve(domain="knowledge", subset="synthetic-train:2", max_turns=1))


@pytest.fixture(scope="module")
def shown() -> tuple[str, dict[str, Any]]:
    """An observation and its info."""
    env = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:2").unwrapped
    assert isinstance(env, SealEnv)
    return env.reset(seed=0)


@pytest.fixture(scope="module")
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


def test_a_mix_asks_in_each_style_and_its_replies_are_one_self_edit(shown: tuple[str, dict[str, Any]]) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    asked = [style_messages(style, shown[1]["task"]["text"]) for style in chat.mix]
    assert list(chat.parts(*shown)) == asked
    replies = ("It is old.\n\nIt is red.", "Question: What is it?\nAnswer: old")
    action = chat.join(replies)
    assert chat.divide(action) == replies
    assert chat.divide(chat.join(("a\n---\nb", ""))) == ("a\nb", "")
    calls = read_texts(action)
    assert isinstance(calls, tuple)
    assert [len(call.arguments.get("texts", call.arguments.get("pairs", ()))) for call in calls] == [2, 1, 0]
    with pytest.raises(ValueError, match="1 replies, not 2"):
        chat.divide("One.")


def test_without_a_mix_a_reply_stays_as_it_is(shown: tuple[str, dict[str, Any]]) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite")
    assert chat.parts(*shown) == (chat.messages(*shown),)
    assert chat.divide(chat.join(["a\n---\nb"])) == ("a\n---\nb",)


def test_a_mix_is_of_styles_of_texts(runtime: Runtime) -> None:
    assert LocalPolicyOptions.checked(mix="rewrite,self-qa").mix == ("rewrite", "self-qa")
    for given, said in (
        ({"mix": ("tools",)}, r"mix='tools'.*'self-qa'"),
        ({"mix": ("rewrite",), "style": "rewrite"}, r"style='rewrite'.*None where there is a mix"),
        ({"mix": ("rewrite",), "constrained": True}, r"constrained=True.*mix='rewrite'"),
    ):
        with pytest.raises(SettingError, match=said):
            LocalPolicyOptions.checked(**given)
    with pytest.raises(SettingError, match=r"mix='rewrite'.*domain='arc'"):
        PolicyChat.of(Runtime(Settings.resolve(subset="mini-train:1")), None, ("rewrite",))


def test_a_policy_writes_the_replies_of_a_mix_in_one_call(llama: FrozenLM, shown: tuple[str, dict[str, Any]]) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    policy = PolicyModel(llama, chat)
    agent = LocalHFAgent(policy, max_new_tokens=10, seed=3)
    said = [each.action for each in policy.sample([*chat.parts(*shown)] * 2, seed=3, max_new_tokens=10)]
    assert agent.act_all([shown[0]] * 2, [shown[1]] * 2) == [chat.join(said[:2]), chat.join(said[2:])]


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_best_of_several_replies_is_the_one_with_the_highest_proxy(
    proxy: str, llama: FrozenLM, shown: tuple[str, dict[str, Any]]
) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    policy = PolicyModel(llama, chat)
    options = LocalPolicyOptions.checked(max_new_tokens=10, best_of=3, proxy=proxy)
    asked = [part for part in chat.parts(*shown) for _ in range(3)]
    said = policy.sample([*asked, *asked], seed=3, max_new_tokens=10)
    best = [max(said[at : at + 3], key=PROXIES[proxy]).action for at in range(0, 12, 3)]
    agent = LocalHFAgent.sampling(policy, options, seed=3)
    assert [agent.act(*shown), agent.act(*shown)] == [chat.join(best[:2]), chat.join(best[2:])]


def test_grpo_asks_for_the_styles_of_a_mix_in_turn(runtime: Runtime) -> None:
    pytest.importorskip("datasets")
    from seal_env.agents.trainers.trl_episodes import prompt_dataset

    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    rows: Any = prompt_dataset(runtime, [Start(runtime.taskset.task_ids[0], seed) for seed in range(3)], chat)
    asked = [STYLES["rewrite"].instruction in row["prompt"][-1]["content"] for row in rows]
    assert asked == [True, False, True]


def test_rest_em_learns_each_reply_as_the_answer_to_its_own_prompt(
    runtime: Runtime, llama: FrozenLM, tmp_path: Path
) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    trainer = RestEm(llama, lambda _: FixedAgent("One."), runtime, runtime, RestEmSettings(samples=1), tmp_path, chat)
    task_id = runtime.taskset.task_ids[0]
    written = EvalSample(task_id, 0, chat.join(["One.", "Two."]), "ok", "", 1.0, 0.0, 1.0, 1, 1, 0.0)
    context = runtime.taskset[task_id].context
    for example, style, answer in zip(trainer._examples(1, [written], llama), chat.mix, ("One.", "Two."), strict=True):
        assert example.messages[:-1] == style_messages(style, f"{context.title}\n{context.text}")
        assert example.messages[-1].content == answer
    silent = replace(written, action=chat.join(["", "Two."]))
    assert [each.messages[-1].content for each in trainer._examples(1, [silent], llama)] == ["Two."]


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_reply_that_says_nothing_is_chosen_only_where_none_says_anything(proxy: str) -> None:
    silent, said = Generation(" ", (0,), True, -0.1), Generation("It is old.", (1, 2, 0), True, -30.0)
    assert best([silent, said], proxy) is said
    assert best([silent, silent], proxy) is silent


REFUSAL = "I'm sorry, but I can't help with that."
CALLS = '[{"name": "implications", "arguments": {"texts": ["It is old."]}}, {"name": "finetune", "arguments": {}}]'
FENCED = f"```json\n{CALLS}\n```"
TALK = "Sure! Here are the statements:\nIt is old.\nI hope this helps!"


@pytest.mark.parametrize(
    ("replies", "texts"),
    [
        (("It is red.", REFUSAL), ["It is red."]),
        ((REFUSAL, "It is red."), ["It is red."]),
        (("It is red.", TALK), ["It is red.", "It is old."]),
        ((TALK, "It is red."), ["It is old.", "It is red."]),
        (("It is red.\n --- \nIt is new.", ""), ["It is red.", "It is new."]),
        (("Question: What is it?", "Answer: old"), ["Question: What is it?", "Answer: old"]),
        (("It is red.", CALLS), ["It is red."]),
        (("It is red.", FENCED), ["It is red."]),
        ((CALLS, "It is red."), ["It is red."]),
        (("Calling `finetune` now.", "It is red."), ["It is red."]),
        (("It is red.", "<think>It is"), ["It is red."]),
    ],
)
def test_of_each_reply_of_a_mix_only_the_text_is_learned(replies: tuple[str, str], texts: list[str]) -> None:
    calls = parse_or_read(PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa")).join(replies))
    assert isinstance(calls, tuple)
    assert [call.arguments for call in calls] == [{"texts": texts}, {}]


@pytest.mark.parametrize(
    "replies", [("", ""), (" ", "\n"), (REFUSAL, ""), ("---", "I hope this helps!"), (REFUSAL, FENCED), (CALLS, CALLS)]
)
def test_a_mix_of_replies_that_say_nothing_is_a_mistake(replies: tuple[str, str]) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    assert isinstance(parse_or_read(chat.join(replies)), InvalidSelfEdit)
    assert len(chat.divide(chat.join(replies))) == 2


def test_rest_em_learns_no_turn_of_which_only_the_beginning_is_on_record(
    runtime: Runtime, llama: FrozenLM, tmp_path: Path
) -> None:
    chat = PolicyChat(KNOWLEDGE_TOOLS, "rewrite", ("rewrite", "self-qa"))
    trainer = RestEm(llama, lambda _: FixedAgent("One."), runtime, runtime, RestEmSettings(samples=1), tmp_path, chat)
    cut = "a" * (MAX_CHARACTERS + 1)
    written = EvalSample(runtime.taskset.task_ids[0], 0, chat.join(["One.", " "]), "ok", "", 1.0, 0.0, 1.0, 1, 1, 0.0)
    several = Runtime(Settings.resolve(domain="knowledge", subset="synthetic-train:2", max_turns=2))
    trainer.runtime = several
    learned = trainer._examples(1, [replace(written, earlier=(cut,))], llama)
    assert [each.messages[-1].content for each in learned] == ["One."]
