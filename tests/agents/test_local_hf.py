"""Language models on this machine as policies: what is sampled, that it can be sampled again, and what is left alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer, GenerationConfig

from seal_env.agents.base import PolicyFailure
from seal_env.agents.context import AgentContext
from seal_env.agents.lm.chat import Chat, PolicyChat, as_action
from seal_env.agents.lm.local.constrained import legal_texts, self_edit_pattern
from seal_env.agents.lm.local.local_hf import LocalHFAgent
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.prompt import PolicyPrompt
from seal_env.agents.lm.local.sampling import Generation, SeededDraw
from seal_env.agents.registry import make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.env import SealEnv
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import ModelError, PolicyError, SettingError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model, share
from seal_env.inner_loop.reference.adapter import Adapter
from seal_env.self_edits.prompt import chat_messages
from seal_env.types import LoraSpec
from tests.helpers.tools import ARC_TOOLS, EPOCHS

NONE: list[dict[str, Any]] = [{}, {}, {}]
SHORT = ["Which self-edit?", "Say how.", "Go on, then: a rather longer question than the other two."]
CHAT = PolicyChat(ARC_TOOLS)
CHATS = [chat_messages(text) for text in SHORT]
ROOM = 96  # tokens of seal-tiny: more than any of its self-edits takes
SPACE = SelfEditSpace(ARC_TOOLS)

HERMES = (
    "{% if tools %}<|im_start|>system\nTools:{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for call in m.tool_calls or [] %}"
    '\n<tool_call>\n{"name": {{ call.function.name | tojson }}, '
    '"arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def env() -> SealEnv:
    made = gymnasium.make("SEAL-ARC-v0", subset="mini-eval:64", max_turns=1, max_examples=4).unwrapped
    assert isinstance(made, SealEnv)
    return made


@pytest.fixture(scope="module")
def chats(env: SealEnv) -> list[Chat]:
    return [chat_messages(env.reset(seed=0, options={"task_id": task_id})[0]) for task_id in env.taskset.task_ids]


@pytest.fixture(scope="module")
def seal_tiny() -> PolicyModel:
    return PolicyModel(load_base_model("seal-tiny", "cpu"), CHAT)


@pytest.fixture(scope="module")
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


def make(env: SealEnv, **options: Any) -> LocalHFAgent:
    agent = make_agent("local_hf", AgentContext.of(env), policy_device="cpu", **options)
    assert isinstance(agent, LocalHFAgent)
    return agent


def texts(samples: Sequence[Generation]) -> list[str]:
    return [sample.text for sample in samples]


def logits(policy: PolicyModel, sample: Generation, chat: Chat) -> torch.Tensor:
    """[tokens of the sample, vocabulary], by one pass over prompt and sample."""
    ids = torch.tensor([[*policy.prompt.encode(chat), *sample.token_ids]])
    with torch.no_grad():
        return policy.model(input_ids=ids).logits[0, -len(sample.token_ids) - 1 : -1].double()


def random_adapter(base: FrozenLM, directory: Path, seed: int, rank: int = 4) -> Path:
    """An adapter that changes the model, in PEFT format."""
    made = Adapter(base)
    made.reset(LoraSpec(rank, 8.0), seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    made.save(directory)
    return directory


def test_self_edits_of_the_embedded_model_are_valid_and_spread(seal_tiny: PolicyModel, chats: list[Chat]) -> None:
    samples = seal_tiny.sample(chats, seed=0, max_new_tokens=ROOM)
    assert sum(SPACE.contains(sample.action) for sample in samples) >= 0.85 * len(samples)
    assert all(sample.finished for sample in samples)
    assert len(set(texts(samples))) > 0.9 * len(samples)


def test_answers_do_not_depend_on_the_batch(seal_tiny: PolicyModel, chats: list[Chat]) -> None:
    asked = [*chats[:3], chats[0], *chats[3:6]]
    together = seal_tiny.sample(asked, seed=3, max_new_tokens=ROOM)
    alone = [seal_tiny.sample([each], seed=3, max_new_tokens=ROOM, first=place)[0] for place, each in enumerate(asked)]
    assert texts(together) == texts(alone)
    assert [each.logprob for each in together] == pytest.approx([each.logprob for each in alone], abs=1e-3)


def test_equal_prompts_get_different_answers_and_other_seeds_too(seal_tiny: PolicyModel, chats: list[Chat]) -> None:
    first = texts(seal_tiny.sample(chats[:1] * 8, seed=0, max_new_tokens=ROOM))
    other = texts(seal_tiny.sample(chats[:1] * 8, seed=1, max_new_tokens=ROOM))
    assert len({*first, *other}) >= 15


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_prompts_of_any_length_share_a_batch_in_every_architecture(architecture: str, tiny_models: dict[str, str]) -> None:
    policy = PolicyModel(load_base_model(tiny_models[architecture], "cpu"), CHAT)
    asked = [*CHATS, *CHATS]
    together = policy.sample(asked, seed=0, max_new_tokens=12)
    alone = [policy.sample([each], seed=0, max_new_tokens=12, first=place)[0] for place, each in enumerate(asked)]
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_logprob_is_that_of_the_tokens_that_were_drawn(temperature: float, llama: FrozenLM) -> None:
    policy = PolicyModel(llama, CHAT)
    sample = policy.sample(CHATS[:1], seed=0, temperature=temperature, max_new_tokens=20)[0]
    logprobs = torch.log_softmax(logits(policy, sample, CHATS[0]) / temperature, -1)
    expected = logprobs.gather(1, torch.tensor(sample.token_ids)[:, None]).sum()
    assert sample.logprob == pytest.approx(float(expected), abs=1e-3)


def test_temperature_0_takes_the_likeliest_tokens(llama: FrozenLM) -> None:
    policy = PolicyModel(llama, CHAT)
    first, second = (policy.sample(CHATS[:1], seed, temperature=0, max_new_tokens=20)[0] for seed in (0, 1))
    assert first == second
    assert list(first.token_ids) == logits(policy, first, CHATS[0]).argmax(-1).tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_draws_have_the_frequencies_of_the_distribution(temperature: float) -> None:
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=30)).float().repeat(20_000, 1)
    drawn = SeededDraw(torch.from_numpy(rng.random((20_000, 1))), temperature)(torch.zeros(20_000, 1), scores).argmax(-1)
    shares = torch.bincount(drawn, minlength=30) / 20_000
    assert float((shares - torch.softmax(scores[0] / temperature, -1)).abs().sum() / 2) < 0.03


def test_impossible_tokens_are_never_drawn() -> None:
    scores = torch.full((4, 5), -torch.inf)
    scores[:, 2] = 0.0
    draws = torch.tensor([[0.0], [0.5], [1 - 1e-16], [np.nextafter(1, 0)]], dtype=torch.float64)
    assert SeededDraw(draws, 1.0)(torch.zeros(4, 1), scores).argmax(-1).tolist() == [2, 2, 2, 2]


def test_answer_that_does_not_end_is_cut(seal_tiny: PolicyModel, chats: list[Chat]) -> None:
    sample = seal_tiny.sample(chats[:1], seed=0, max_new_tokens=3)[0]
    assert (len(sample.token_ids), sample.finished) == (3, False)


def test_answer_ends_where_the_context_does(llama: FrozenLM) -> None:
    short_lived = PolicyModel(
        replace(llama, max_tokens=len(PolicyPrompt(llama, CHAT).encode(CHATS[2])) + 5, inner_loops={}), CHAT
    )
    samples = short_lived.sample([CHATS[2], CHATS[0]], seed=0, max_new_tokens=8)
    assert [len(sample.token_ids) for sample in samples] == [5, 8]


def test_penalties_that_a_model_asks_for_are_not_applied(llama: FrozenLM) -> None:
    greedy = PolicyModel(llama, CHAT).sample(CHATS, seed=0, max_new_tokens=20)
    model = share(llama.model)
    model.generation_config = GenerationConfig(repetition_penalty=3.0, min_new_tokens=30, top_k=1, do_sample=True)
    assert PolicyModel(replace(llama, model=model, inner_loops={}), CHAT).sample(CHATS, seed=0, max_new_tokens=20) == greedy


def test_sampling_leaves_torch_s_random_state_and_the_base_weights_alone(llama: FrozenLM, tmp_path: Path) -> None:
    adapter = random_adapter(llama, tmp_path / "adapter", seed=1)
    weights = {name: weight.clone() for name, weight in llama.model.state_dict().items()}
    state = torch.random.get_rng_state()
    plain = PolicyModel(llama, CHAT).sample(CHATS, seed=0, max_new_tokens=20)
    adapted = PolicyModel(llama, CHAT, [adapter]).sample(CHATS, seed=0, max_new_tokens=20)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {name: torch.equal(weight, weights[name]) for name, weight in llama.model.state_dict().items()} == dict.fromkeys(
        weights, True
    )
    assert texts(adapted) != texts(plain)


def test_adapters_add_up(llama: FrozenLM, tmp_path: Path) -> None:
    folders = [random_adapter(llama, tmp_path / str(seed), seed, rank) for seed, rank in ((1, 4), (2, 2))]
    merged = copy.deepcopy(llama.model)
    for folder in folders:
        merged = PeftModel.from_pretrained(merged, str(folder)).merge_and_unload()
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        together, one = (PolicyModel(llama, CHAT, used).model(input_ids=ids).logits for used in (folders, folders[:1]))
        expected = merged(input_ids=ids).logits
    assert torch.allclose(together, expected, atol=1e-4)
    assert not torch.allclose(one, expected, atol=1e-2)


def test_adapters_are_named_with_commas_between(env: SealEnv, tmp_path: Path) -> None:
    base = load_base_model("seal-tiny", "cpu")
    folders = [random_adapter(base, tmp_path / str(seed), seed) for seed in (1, 2)]
    agent = make(env, policy_adapter=",".join(map(str, folders)))
    assert agent.policy.model.base_model.active_adapters == ["0", "1"]


def test_adapter_that_is_missing_or_does_not_fit_is_named(llama: FrozenLM, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no adapter_config"):
        PolicyModel(llama, CHAT, [tmp_path / "nowhere"])
    other = random_adapter(load_base_model("seal-tiny", "cpu"), tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="does not fit"):
        PolicyModel(llama, CHAT, [other])


def test_prompt_longer_than_the_context_is_a_failure_that_names_the_lengths(llama: FrozenLM) -> None:
    agent = LocalHFAgent(PolicyModel(llama, CHAT), max_new_tokens=4)
    long = "word " * 3000
    short, failure = agent.act_all([SHORT[0], long], NONE[:2])
    assert isinstance(short, str)
    assert isinstance(failure, PolicyFailure)
    assert re.search(r"the prompt takes \d{4,} tokens; .* takes 2048", failure.reason)
    with pytest.raises(PolicyError, match="takes 2048"):
        agent.act(long, {})
    with pytest.raises(PolicyError, match="takes 2048"):
        agent.policy.sample([CHATS[0], chat_messages(long)], seed=0)


def test_agent_gives_one_sequence_however_it_is_asked(llama: FrozenLM) -> None:
    one, other = (LocalHFAgent(PolicyModel(llama, CHAT), max_new_tokens=8, seed=4) for _ in range(2))
    sequence = [one.act(each, {}) for each in SHORT]
    assert other.act_all(SHORT, NONE) == sequence
    assert other.act_all(SHORT, NONE) != sequence
    other.seed(4)
    assert other.act_all(SHORT, NONE) == sequence


def test_same_is_the_environment_s_base_model_and_another_name_another_model(
    env: SealEnv, tiny_models: dict[str, str]
) -> None:
    assert make(env).policy.base is load_base_model("seal-tiny", "cpu")
    assert make(env, policy_model=tiny_models["qwen2"]).policy.base.name == tiny_models["qwen2"]
    with pytest.raises(ModelError):
        make(env, policy_model="no/such-model-here")


def test_policy_adapts_the_model_that_it_is(env: SealEnv) -> None:
    trajectory = run_episode(env, make(env, constrained=True), seed=0)
    assert (trajectory.info["outcome"], trajectory.info["optimizer_steps"] > 0) == ("ok", True)


@pytest.mark.parametrize("which", ["seal-tiny", "llama", "qwen2", "gpt2"])
def test_every_constrained_answer_is_a_whole_self_edit(which: str, tiny_models: dict[str, str]) -> None:
    base = load_base_model(tiny_models.get(which, which), "cpu")
    samples = PolicyModel(base, CHAT, constrained=True).sample(CHATS, seed=0)
    assert all(sample.finished and SPACE.contains(sample.action) for sample in samples)
    assert all(json.loads(sample.text)[-1]["name"] == "finetune" for sample in samples)
    if which != "seal-tiny":  # weights at random: without constraint it writes nonsense
        assert not any(SPACE.contains(sample.action) for sample in PolicyModel(base, CHAT).sample(CHATS, seed=0))


def test_constrained_answers_end_at_temperature_0_too(llama: FrozenLM) -> None:
    sample = PolicyModel(llama, CHAT, constrained=True).sample(CHATS[:1], seed=0, temperature=0)[0]
    assert SPACE.contains(sample.action)


def test_constraint_only_forbids(seal_tiny: PolicyModel, chats: list[Chat]) -> None:
    """Where the unconstrained answer is legal as the constraint writes it, tokens are drawn from the same distribution."""
    constrained = PolicyModel(seal_tiny.base, CHAT, constrained=True)
    free, bound = (
        policy.sample(chats[:16], seed=0, temperature=0, max_new_tokens=ROOM) for policy in (seal_tiny, constrained)
    )
    legal = [re.fullmatch(self_edit_pattern(ARC_TOOLS), sample.text) is not None for sample in free]
    assert sum(legal) >= 12
    assert all(mine.text == other.text for mine, other, kept in zip(free, bound, legal, strict=True) if kept)


def test_pattern_of_a_self_edit_matches_what_the_space_draws_and_nothing_beyond_the_schema() -> None:
    pattern = re.compile(self_edit_pattern(ARC_TOOLS))
    space = SelfEditSpace(ARC_TOOLS, {EPOCHS: (0, 20)}, seed=0)
    drawn = [space.sample() for _ in range(50)]
    assert all(pattern.fullmatch(action) for action in drawn)
    for legal, illegal in (("augment", "augmentt"), ('"num_train_epochs": ', '"num_train_epochs": 9'), ("true", "null")):
        assert not any(pattern.fullmatch(action.replace(legal, illegal)) for action in drawn if legal in action)


@pytest.mark.parametrize(
    ("schema", "some", "none"),
    [
        (
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            ["1e-06", "3.12e-05", "0.001", "1.0"],
            ["0.0", "1.01", "-0.1"],
        ),
        ({"type": "number", "minimum": -2, "exclusiveMaximum": 0}, ["-2.0", "-0.001"], ["0.0", "-2.01"]),
        ({"type": "integer", "minimum": 0, "maximum": 20}, ["0", "20"], ["-1", "21", "1.0"]),
        ({"type": "boolean"}, ["true", "false"], ["null"]),
        ({"type": "string", "enum": ["a", 'b"']}, ['"a"', '"b\\""'], ["a"]),
        ({"const": 3}, ["3"], ["4"]),
    ],
)
def test_legal_texts_of_an_argument(schema: dict[str, object], some: list[str], none: list[str]) -> None:
    legal = set(legal_texts(schema))
    assert legal >= set(some)
    assert not legal & set(none)


def test_free_text_cannot_be_constrained() -> None:
    with pytest.raises(SettingError, match="constrained"):
        legal_texts({"type": "string"})


def with_template(base: FrozenLM, directory: str, template: str) -> FrozenLM:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.chat_template = template
    return replace(base, tokenizer=tokenizer, inner_loops={})


def test_tools_go_through_a_template_that_writes_calls_which_can_be_read_back(tiny_models: dict[str, str]) -> None:
    directory = tiny_models["qwen2"]
    base = load_base_model(directory, "cpu")
    taught = with_template(base, directory, HERMES)
    prompt = PolicyPrompt(taught, CHAT)
    assert prompt.has_tools
    shown = taught.tokenizer.decode(prompt.encode(chat_messages("Which?")))
    assert shown.index('"use_basic_augmentations"') < shown.index("Which?") < shown.index("<|im_start|>assistant")
    assert not PolicyPrompt(taught, CHAT, tools=False).has_tools
    assert not PolicyModel(taught, CHAT, constrained=True).prompt.has_tools
    other_words = with_template(base, directory, HERMES.replace("<tool_call>", "<calling>"))
    assert not PolicyPrompt(other_words, CHAT).has_tools
    assert "use_basic_augmentations" not in taught.tokenizer.decode(
        PolicyPrompt(other_words, CHAT).encode(chat_messages("Which?"))
    )


def test_templates_without_tool_calls_get_no_tools(seal_tiny: PolicyModel, llama: FrozenLM) -> None:
    assert not seal_tiny.prompt.has_tools
    assert not PolicyPrompt(llama, CHAT).has_tools


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        ("[1]", "[1]"),
        ("<think>\n[2] or so\n</think>\n\n[1]", "[1]"),
        (
            '<tool_call>\n{"name": "a"}\n</tool_call>\n<tool_call>{"name": "b"}</tool_call>',
            '[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]',
        ),
        ("<tool_call>nothing</tool_call>", '[{"name": "nothing", "arguments": {}}]'),
        ("<tool_call>nothing at all</tool_call>", "<tool_call>nothing at all</tool_call>"),
        ("<think>hm</think> <tool_call>nothing", "<tool_call>nothing"),
    ],
)
def test_answers_as_actions(answer: str, action: str) -> None:
    assert as_action(answer) == action


@pytest.mark.parametrize("generation_prompt", ["<think>\n", "<think>\n</think>\n"])
def test_an_answer_that_stays_within_the_thought_of_its_prompt_is_no_action(
    tiny_models: dict[str, str], generation_prompt: str
) -> None:
    template = HERMES.replace("<|im_start|>assistant\n{%", f"<|im_start|>assistant\n{generation_prompt}{{%")
    prompt = PolicyPrompt(with_template(load_base_model(tiny_models["qwen2"], "cpu"), tiny_models["qwen2"], template), CHAT)
    thinks = generation_prompt == "<think>\n"
    assert prompt.opened_thought == ("<think>" if thinks else "")
    actions = [Generation(text, (), True, 0.0, prompt.opened_thought).action for text in ("So", "So</think>[1]", "[1]")]
    assert actions == ["" if thinks else "So", "[1]", "[1]"]


def test_special_tokens_that_mark_calls_are_part_of_an_answer(tiny_models: dict[str, str]) -> None:
    base = load_base_model(tiny_models["qwen2"], "cpu")
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[TOOL_CALLS]", "[ARGS]", "<|pause|>"]})
    policy = PolicyModel(replace(base, tokenizer=tokenizer, inner_loops={}), CHAT)
    said = [tokenizer.encode(text) for text in ("[TOOL_CALLS]finetune[ARGS]{}", "One<|pause|> two")]
    called, spoken = (policy._generation(ids, [0.0] * len(ids)) for ids in said)
    assert called.action == '[{"name": "finetune", "arguments": {}}]'
    assert spoken.action == "One two"
