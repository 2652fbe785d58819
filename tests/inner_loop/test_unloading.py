"""Models are unloaded when the last environment that uses them is closed."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

from seal_env.envs.base import SealBaseEnv
from seal_env.inner_loop import make_inner_loop, unload_models
from seal_env.inner_loop.model.files import load_model
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.wrapped import model_of

MINI = "SEAL-ARC-Mini-v0"
SMALL: dict[str, Any] = {"device": "cpu", "max_examples": 1, "lora_rank": 2, "decode": "never", "subset": "mini-train:2"}


@pytest.fixture
def tiny_models(tiny_models: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Models that no other test has loaded."""
    return {name: str(shutil.copytree(tiny_models[name], tmp_path / name)) for name in ("llama", "qwen2", "gpt2")}


def started(model: str, env_id: str = MINI, **settings: Any) -> tuple[gymnasium.Env[str, str], weakref.ref[torch.Tensor]]:
    """An environment after its first update, and a reference to a weight of its model."""
    env: gymnasium.Env[str, str] = gymnasium.make(env_id, model=model, **SMALL, **settings)
    env.reset(seed=0)
    env.step('[{"name": "finetune", "arguments": {}}]')
    seal = env.unwrapped
    assert isinstance(seal, SealBaseEnv)
    base = model_of(seal.runtime.inner_loop)
    assert base is not None
    return env, weakref.ref(base.model.get_input_embeddings().weight)


KINDS: dict[str, dict[str, Any]] = {
    "batched": {"env_id": MINI},
    "reference": {"env_id": MINI, "inner_loop": "reference"},
    "continual": {"env_id": "SEAL-Continual-v0", "domain": "arc", "sequence": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_closed_environments_leave_no_model_behind(kind: str, tiny_models: dict[str, str]) -> None:
    for model in (tiny_models["llama"], tiny_models["qwen2"], tiny_models["gpt2"]):
        env, weight = started(model, **KINDS[kind])
        assert weight() is not None
        env.close()
        assert weight() is None


def test_a_vector_environment_that_is_closed_leaves_no_model_behind(tiny_models: dict[str, str]) -> None:
    envs = gymnasium.make_vec(MINI, num_envs=2, model=tiny_models["llama"], **SMALL)
    envs.reset(seed=0)
    base = weakref.ref(load_base_model(tiny_models["llama"], "cpu").model)
    envs.close()
    assert base() is None


def test_a_model_stays_while_another_environment_has_it(tiny_models: dict[str, str]) -> None:
    (env, weight), (other, same) = (started(tiny_models["llama"]) for _ in range(2))
    assert weight() is same()
    env.close()
    assert weight() is not None
    other.close()
    assert weight() is None


def test_an_environment_that_was_closed_loads_its_model_again(tiny_models: dict[str, str]) -> None:
    env, weight = started(tiny_models["llama"])
    env.close()
    _, info = env.reset(seed=0)
    assert (info["outcome"], weight()) == ("ok", None)
    env.close()


def test_a_bundled_model_stays_loaded() -> None:
    env, weight = started("seal-tiny")
    env.close()
    assert weight() is not None


def test_unloading_releases_what_is_not_in_use(tiny_models: dict[str, str]) -> None:
    held = make_inner_loop("batched", tiny_models["llama"], "cpu")
    loose = weakref.ref(load_base_model(tiny_models["qwen2"], "cpu").model)
    assert loose() is not None
    unload_models()
    assert loose() is None
    assert make_inner_loop("batched", tiny_models["llama"], "cpu") is held


def test_files_that_no_longer_are_a_model_are_given_up(tiny_models: dict[str, str], tmp_path: Path) -> None:
    """A model that was saved again does not stay beside the new one."""
    directory = shutil.copytree(tiny_models["llama"], tmp_path / "model")
    old = weakref.ref(load_base_model(str(directory), "cpu").model)
    (directory / "README.md").touch()
    assert load_base_model(str(directory), "cpu").model is not old()
    gc.collect()
    assert old() is None


def test_weights_go_straight_to_the_device(tiny_models: dict[str, str]) -> None:
    """A GPU is stood in for by the meta device, which has room for everything and would show a detour as real tensors."""
    meta = torch.device("meta")
    assert {weight.device for weight in load_model(tiny_models["llama"], torch.bfloat16, meta).parameters()} == {meta}
