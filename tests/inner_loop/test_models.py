"""Models that are named by a directory, through the whole environment; and names that are wrong."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.devices import choose_device
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.types import PROFILES, Example, LoraSpec, Message, Outcome, TrainingConfig, UpdateJob

ARCHITECTURES = ["llama", "qwen2", "gpt2"]


def make(model: str, **settings: Any) -> SealEnv:
    small: dict[str, Any] = {"device": "cpu", "lora_rank": 4, "max_examples": 6, "cache": "off"}
    env = gymnasium.make("SEAL-ARC-Mini-v0", model=model, **small, **settings).unwrapped
    assert isinstance(env, SealEnv)
    return env


def weights(model: str) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in load_base_model(model, "cpu").model.state_dict().items()}


@pytest.mark.parametrize("profile", ["fixed", "paper"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_directory_is_a_model(architecture: str, profile: str, tiny_models: dict[str, str]) -> None:
    model = tiny_models[architecture]
    before = weights(model)
    env = make(model, profile=profile)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(ARC.default_self_edit)
    assert (info["outcome"], reward, terminated, truncated) == ("ok", info["accuracy_after"], True, False)
    assert (info["optimizer_steps"], len(info["losses"])) == (6, 6)
    assert all(math.isfinite(loss) for loss in info["losses"])
    after = weights(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_examples_that_the_model_cannot_take_are_dropped(tiny_models: dict[str, str]) -> None:
    """GPT-2 has a table of 1024 positions; a longer example would be an IndexError, on CUDA the end of the device."""
    env = gymnasium.make("SEAL-ARC-v0", model=tiny_models["gpt2"], device="cpu", max_examples=1000).unwrapped
    assert isinstance(env, SealEnv)
    text, _ = env.reset(seed=0, options={"task_id": "5bd6f4ac"})
    assert "Examples of 1025 tokens or more are dropped" in text
    augment = json.loads(ARC.default_self_edit)[0]
    augment["arguments"]["use_size_augmentations"] = True
    env.step(json.dumps(augment))
    assert env.episode is not None
    assert env.episode.drafting.examples is not None
    assert max(env.episode.drafting.examples.lengths_E) <= 1024
    assert len(env.episode.drafting.examples.examples_E) < len(env.episode.drafting.draft.candidates or ())


@pytest.mark.parametrize("profile", ["fixed", "paper"])
def test_longest_example_that_is_kept_can_be_trained_on(profile: str, tiny_models: dict[str, str]) -> None:
    loop, recipe = make_inner_loop("reference", tiny_models["gpt2"], "cpu"), PROFILES[profile]
    room = loop.max_tokens(recipe) - loop.count_tokens([answer_of(1)])[0]
    longest = answer_of(1 + room)
    assert loop.count_tokens([longest])[0] == loop.max_tokens(recipe)
    job = UpdateJob((longest,), TrainingConfig(num_train_epochs=1), LoraSpec(4, 4.0), recipe, 0, ())
    assert loop.run([job])[0].outcome is Outcome.OK


def answer_of(cells: int) -> Example:
    return Example((Message("user", "Repeat."), Message("assistant", " ".join("0" * cells))))


def test_weights_that_are_no_safetensors_are_named(tiny_models: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_models["llama"], broken)
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="broken' cannot be loaded"):
        load_base_model(str(broken), "cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "meta", "cpu:1", "cuda:0,cuda:1", "balanced", "mps:0", ""])
def test_device_that_is_none_is_named(device: str) -> None:
    with pytest.raises(SettingError, match="'auto', 'cpu', 'cuda', 'cuda:N' or 'mps': one device"):
        choose_device(device)


def test_cuda_without_a_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingError, match="no CUDA device"):
        choose_device("cuda")


def test_equal_devices_are_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert choose_device("auto") == choose_device("cuda") == choose_device("cuda:0") != choose_device("cuda:1")
    with pytest.raises(SettingError, match="there are 2 CUDA devices"):
        choose_device("cuda:2")
