"""Adapters merged into a base model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.continual.merge import merge
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.types import Example, LoraSpec, Message, Query, Recipe, TrainingConfig, UpdateJob

ASKED = Query("0", (Message("user", "1 2 3"),), "4 5 6", None, 8)
JOB = UpdateJob(
    examples_E=tuple(Example((Message("user", f"{n} 2 3"), Message("assistant", "4 5 6"))) for n in range(4)),
    training=TrainingConfig("train_using_output_tokens", 3e-3, 3),
    lora=LoraSpec(8, 64.0),
    recipe=Recipe(warmup_steps=0),
    seed=3,
    queries_Q=(ASKED,),
)


@pytest.fixture(scope="module")
def base() -> FrozenLM:
    return load_base_model("seal-tiny", "cpu")


@pytest.fixture
def adapter(base: FrozenLM, tmp_path: Path) -> Path:
    BatchedInnerLoop(base).run([replace(JOB, save_to=tmp_path / "adapter")])
    return tmp_path / "adapter"


def margin(model: FrozenLM) -> float:
    """How clearly the model gives the gold answer."""
    return BatchedInnerLoop(model).run([replace(JOB, examples_E=())])[0].answers_Q[0].margin


def test_the_merged_model_is_the_updated_one(base: FrozenLM, adapter: Path) -> None:
    (updated,) = BatchedInnerLoop(base).run([JOB])
    assert updated.answers_Q[0].margin > margin(base) + 1
    assert margin(merge(base, [adapter], "merged")) == pytest.approx(updated.answers_Q[0].margin, abs=1e-3)


def test_the_base_model_stays_bit_identical(base: FrozenLM, adapter: Path) -> None:
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    merge(base, [adapter, adapter], "merged")
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.model.state_dict().items())
    assert not hasattr(base.model, "peft_config")


def test_adapters_add_up(base: FrozenLM, adapter: Path) -> None:
    once, twice = (merge(base, [adapter] * count, "merged").model.state_dict() for count in (1, 2))
    name = "model.layers.0.mlp.up_proj.weight"
    start = base.model.state_dict()[name]
    assert not torch.equal(once[name], start)
    assert torch.allclose(twice[name] - start, 2 * (once[name] - start), atol=1e-6)


def test_a_saved_model_is_loaded_by_transformers(base: FrozenLM, adapter: Path, tmp_path: Path) -> None:
    merged = merge(base, [adapter], "merged")
    merged.save(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").glob("*.safetensors")] == ["model.safetensors"]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = torch.arange(20)[None]
    assert torch.equal(loaded(ids).logits, merged.model(ids).logits)
    assert margin(load_base_model(str(tmp_path / "model"), "cpu")) == pytest.approx(margin(merged), abs=1e-5)


def test_a_folder_without_an_adapter_is_named(base: FrozenLM, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing-here"):
        merge(base, [tmp_path / "nothing-here"], "merged")
