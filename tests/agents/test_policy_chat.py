"""Policies that write texts: how they are asked in each style, what is made of their replies, how they learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import gymnasium
import pytest

from seal_env.agents.baselines.fixed import FixedAgent
from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import EvalSample
from seal_env.agents.lm.chat import PolicyChat, as_action
from seal_env.agents.lm.local.local_hf import LocalHFAgent
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.prompt import PolicyPrompt
from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.lm.served.openai_compatible import OpenAICompatibleAgent
from seal_env.agents.lm.served.probe import sample_prompt
from seal_env.agents.lm.text_styles import ALL_STYLES, STYLES, SYSTEM, TOOL_CALL_STYLE, StyleName, style_messages
from seal_env.agents.registry import make_agent
from seal_env.agents.rollouts import Start, run_episode
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.agents.trainers.settings import RestEmSettings
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.registration import environments
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages
from seal_env.settings import Settings
from seal_env.tools.registry import openai_tools
from seal_env.types import UpdateJob
from tests.helpers.servers import PolicyServer, form_of, texts
from tests.helpers.tools import ARC_TOOLS, KNOWLEDGE_NAMES, KNOWLEDGE_TOOLS

TOOLS_TEMPLATE = (
    "{% if tools %}Tools:{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}{% for m in messages %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>"
    '{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}</tool_call>'
    "{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def knowledge(**settings: object) -> Settings:
    given = {
        **environments()["SEAL-Knowledge-v0"],
        "subset": "synthetic-train:2",
        "max_examples": 3,
        "default_num_epochs": 1,
    }
    return Settings.resolve(**{**given, "max_turns": 1, "cache": "off", "device": "cpu", **settings})


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    made = Runtime(knowledge())
    made.load()
    return made


@pytest.fixture(scope="module")
def env() -> SealEnv:
    made = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:2", max_examples=3, default_num_epochs=1).unwrapped
    assert isinstance(made, SealEnv)
    return made


@pytest.fixture(scope="module")
def shown(env: SealEnv) -> tuple[str, dict[str, Any]]:
    """An observation and its info."""
    return env.reset(seed=0)


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


def chat_of(style: str | None) -> PolicyChat:
    return PolicyChat(KNOWLEDGE_TOOLS, style or "implications")


def test_none_is_tools_in_arc_and_implications_in_knowledge(runtime: Runtime) -> None:
    arc = Runtime(Settings.resolve(subset="mini-train:1"))
    assert PolicyChat.of(arc, None) == PolicyChat(ARC_TOOLS, "tools")
    assert PolicyChat.of(runtime, None) == PolicyChat(KNOWLEDGE_TOOLS, "implications")
    assert not PolicyChat.of(runtime, "tools").wants_texts
    with pytest.raises(SettingError, match=r"style='rewrite'.*domain='arc'"):
        PolicyChat.of(arc, "rewrite")


def test_the_styles_are_those_of_the_option() -> None:
    assert (TOOL_CALL_STYLE, *ALL_STYLES) == get_args(StyleName)


def test_a_short_style_leaves_the_system_prompt_to_the_template() -> None:
    (asked,) = style_messages("facts", "Orvel\nA village.")
    assert (asked.role, asked.content.splitlines()[:2]) == ("user", ["Orvel", "A village."])


@pytest.mark.parametrize("style", ALL_STYLES)
def test_a_style_asks_about_the_passage_in_its_own_words(style: str, shown: tuple[str, dict[str, Any]]) -> None:
    messages = chat_of(style).messages(*shown)
    assert messages == style_messages(style, shown[1]["task"]["text"])
    assert "finetune" not in messages[-1].content


def test_tools_ask_with_the_environment_s_own_prompt(shown: tuple[str, dict[str, Any]]) -> None:
    assert chat_of("tools").messages(*shown) == chat_messages(shown[0])


def test_each_passage_is_asked_about_when_several_follow_each_other() -> None:
    env = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:2", passages=2).unwrapped
    assert isinstance(env, SealEnv)
    _, info = env.reset(seed=0)
    asked = [chat_of("rewrite").messages("", info)]
    asked.append(chat_of("rewrite").messages("", env.step("A line.")[4]))
    contexts = env.taskset[env.taskset.task_ids[0]].context
    assert asked == [style_messages("rewrite", f"{each.title}\n{each.text}") for each in contexts]


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        ("<think>hm</think>One.\nTwo.", "One.\nTwo."),
        ("<think>\nI would say that", ""),
        ("One <think> two", "One <think> two"),
        ("", ""),
    ],
)
def test_thoughts_are_no_texts(answer: str, action: str) -> None:
    assert as_action(answer) == action


@pytest.mark.parametrize("style", ["essay", ""])
def test_unknown_styles_are_named(style: str) -> None:
    with pytest.raises(SettingError, match=r"style=.*'self-qa'"):
        LocalPolicyOptions.checked(style=style)


def test_texts_cannot_be_constrained(llama: FrozenLM) -> None:
    with pytest.raises(SettingError, match=r"constrained=True.*style='rewrite'"):
        LocalPolicyOptions.checked(style="rewrite", constrained=True)
    with pytest.raises(SettingError, match=r"constrained=True.*style='implications'"):
        PolicyModel(llama, chat_of(None), constrained=True)
    with pytest.raises(SettingError, match="constrained=True"):  # nor can the lists of texts that its tools take
        PolicyModel(llama, chat_of("tools"), constrained=True)


# A model on this machine


def test_a_local_policy_reads_the_style_s_prompt_and_its_reply_is_the_action(
    llama: FrozenLM, shown: tuple[str, dict[str, Any]]
) -> None:
    chat = chat_of("self-qa")
    policy = PolicyModel(llama, chat)
    asked = llama.tokenizer.decode(policy.prompt.encode(chat.messages(*shown)))
    assert STYLES["self-qa"].instruction in asked
    assert SYSTEM in asked
    agent = LocalHFAgent(policy, max_new_tokens=20, seed=3)
    assert agent.act(*shown) == policy.sample([chat.messages(*shown)], seed=3, max_new_tokens=20)[0].text


def test_the_embedded_model_writes_texts_that_are_learned(env: SealEnv) -> None:
    agent = make_agent("local_hf", AgentContext.of(env), policy_device="cpu", max_new_tokens=64)
    assert isinstance(agent, LocalHFAgent)
    trajectory = run_episode(env, agent, seed=1)
    assert trajectory.info["outcome"] == "ok"
    assert trajectory.info["texts"] > 0
    assert agent.policy.prompt.chat.style == "implications"


def test_tools_of_knowledge_go_through_a_template_and_texts_do_not(
    tiny_models: dict[str, str], shown: tuple[str, dict[str, Any]]
) -> None:
    base = load_base_model(tiny_models["qwen2"], "cpu")
    kept = base.tokenizer.chat_template
    base.tokenizer.chat_template = TOOLS_TEMPLATE
    try:
        tools, style = (PolicyPrompt(base, chat_of(name)) for name in ("tools", None))
        assert (tools.has_tools, style.has_tools) == (True, False)
        text = base.tokenizer.decode(tools.encode(tools.chat.messages(*shown)))
        assert all(json.dumps(tool["function"]["name"]) in text for tool in openai_tools(KNOWLEDGE_TOOLS))
        assert '"self_qa"' not in base.tokenizer.decode(style.encode(style.chat.messages(*shown)))
    finally:
        base.tokenizer.chat_template = kept


# A model behind a server


def served(server: PolicyServer, env: SealEnv, **policy: object) -> OpenAICompatibleAgent:
    options = {"base_url": server.base_url, "retries": 0, **policy}
    agent = make_agent("openai_compatible", AgentContext.of(env), **options)
    assert isinstance(agent, OpenAICompatibleAgent)
    return agent


def test_a_server_is_asked_for_texts_in_plain_chat_and_no_forms_are_probed(
    policy_server: PolicyServer, env: SealEnv
) -> None:
    observation, info = env.reset(seed=0, options={"task_id": env.taskset.task_ids[1]})
    agent = served(policy_server, env, style="rewrite")
    actions = agent.act_all([observation] * 2, [info] * 2)
    about_sample, *asked = policy_server.seen
    assert {form_of(body) for body in policy_server.seen} == {"text"}
    assert sorted(map(str, actions)) == sorted(texts(body["seed"]).partition("</think>")[2].strip() for body in asked)
    expected = [{"role": each.role, "content": each.content} for each in style_messages("rewrite", info["task"]["text"])]
    assert [body["messages"] for body in asked] == [expected] * 2
    sample = sample_prompt(env.runtime)[1]["task"]["text"]
    assert sample != info["task"]["text"]
    assert sample in about_sample["messages"][-1]["content"]


def test_a_server_is_asked_for_the_tools_of_knowledge_in_the_strictest_form(
    policy_server: PolicyServer, env: SealEnv, shown: tuple[str, dict[str, Any]]
) -> None:
    action = served(policy_server, env, style="tools").act(*shown)
    assert env.action_space.contains(action)
    assert policy_server.seen[-1]["tools"] == openai_tools(KNOWLEDGE_TOOLS)
    assert "You have one reply." in policy_server.seen[0]["messages"][-1]["content"]
    assert env.runtime.settings.max_turns > 1
    policy_server.knows = {"structured_outputs"}
    action = served(policy_server, env, style="tools").act(*shown)
    assert [call.name for call in parse(action)] == KNOWLEDGE_NAMES  # type: ignore[union-attr]


def test_what_a_served_policy_writes_is_learned(policy_server: PolicyServer, env: SealEnv) -> None:
    info = run_episode(env, served(policy_server, env), seed=0).info
    assert (info["outcome"], info["texts"]) == ("ok", 2)


def test_an_empty_reply_is_a_mistake_of_the_policy(env: SealEnv) -> None:
    env.reset(seed=0)
    *_, info = env.step(as_action("<think>\nso much to say"))
    assert info["outcome"] == "not_json"


# Policies that learn


def test_rest_em_teaches_the_texts_in_answer_to_the_style_s_prompt(
    runtime: Runtime, llama: FrozenLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[UpdateJob] = []
    run = BatchedInnerLoop.run

    def noted(self: BatchedInnerLoop, given: list[UpdateJob]) -> object:
        jobs.extend(given)
        return run(self, given)

    monkeypatch.setattr(BatchedInnerLoop, "run", noted)
    chat = chat_of("rewrite")
    settings = RestEmSettings(rounds=1, samples=1, sft_epochs=1, sft_rank=2)
    loop = RestEm(llama, lambda _policy: FixedAgent("nothing is sampled"), runtime, runtime, settings, tmp_path, chat)
    task_id = runtime.taskset.task_ids[0]
    chosen = [EvalSample(task_id, 0, "One.\nTwo.", "ok", "", 1.0, 0.0, 1.0, 1, 1, 0.0)]
    loop._learn(1, chosen, llama)
    (job,) = jobs
    *asked, said = job.examples_E[0].messages
    context = runtime.taskset[task_id].context
    assert tuple(asked) == style_messages("rewrite", f"{context.title}\n{context.text}")
    assert (said.role, said.content) == ("assistant", "One.\nTwo.")
    assert (tmp_path / "round-1" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_policy_is_not_trained_on_groups_of_passages(llama: FrozenLM, tmp_path: Path) -> None:
    groups = Runtime(knowledge(passages=2))
    with pytest.raises(SettingError, match="passages=2"):
        RestEm(
            llama,
            lambda _policy: pytest.fail("nothing is sampled"),
            groups,
            groups,
            RestEmSettings(),
            tmp_path,
            chat_of(None),
        )


class TestThroughTrl:
    """TRL asks for texts in plain words."""

    @pytest.fixture(autouse=True)
    def _trl(self) -> None:
        pytest.importorskip("trl")

    def test_prompts_are_the_style_s(self, runtime: Runtime) -> None:
        from seal_env.agents.trainers.trl_episodes import prompt_dataset

        task_id = runtime.taskset.task_ids[1]
        chat = chat_of("relations")
        row: Any = prompt_dataset(runtime, [Start(task_id, 5)], chat)[0]
        context = runtime.taskset[task_id].context
        expected = style_messages("relations", f"{context.title}\n{context.text}")
        assert [each["content"] for each in row["prompt"]] == [each.content for each in expected]

    async def test_completions_are_texts_and_one_call_of_the_inner_loop_settles_them(self, runtime: Runtime) -> None:
        from seal_env.agents.trainers.trl_episodes import self_edit_reward

        task_ids, metrics = [runtime.taskset.task_ids[0]] * 3, dict[str, float]()
        said = ["One.\nTwo.", "", "<think>hm</think>One.\nTwo."]
        reward = self_edit_reward(runtime)
        rewards = await reward(
            [[{"role": "assistant", "content": text}] for text in said],
            task_id=task_ids,
            seed=[1, 1, 1],
            log_metric=metrics.__setitem__,
        )
        assert rewards[0] is not None
        assert rewards[0] == rewards[2]
        assert rewards[1] == 0.0
        assert metrics == {"self_edit/valid": pytest.approx(2 / 3), "self_edit/failed": 0.0}

    def test_its_tool_calls_are_for_arc_alone(self, runtime: Runtime, llama: FrozenLM, tmp_path: Path) -> None:
        from seal_env.agents.trainers.grpo import Grpo, calls_tools
        from seal_env.agents.trainers.settings import GrpoSettings
        from seal_env.agents.trainers.trl_episodes import self_edit_environments

        with pytest.raises(SettingError, match=r"tool_calls='on'.*domain='knowledge'"):
            calls_tools(llama.tokenizer, runtime.spec, "on")
        with pytest.raises(SettingError, match="domain='knowledge'"):
            self_edit_environments(Runtime(knowledge(max_turns=8)))
        run = Grpo(llama, runtime, runtime, GrpoSettings(steps=1), LocalPolicyOptions(max_new_tokens=8), tmp_path)
        assert (run.tools, run.chat.style) == (False, "implications")

    @pytest.mark.slow
    def test_a_whole_run_of_grpo_with_texts(self, runtime: Runtime, llama: FrozenLM, tmp_path: Path) -> None:
        from seal_env.agents.trainers.grpo import Grpo
        from seal_env.agents.trainers.settings import GrpoSettings

        settings = GrpoSettings(steps=2, prompts=1, samples=2, save_every=1, eval_samples=1)
        policy = LocalPolicyOptions(max_new_tokens=16, style="self-qa")
        result = Grpo(llama, runtime, runtime, settings, policy, tmp_path).run()
        assert not result["tools"]
        assert len(result["training"]) == 2
        assert (tmp_path / "adapter" / "adapter_config.json").is_file()
