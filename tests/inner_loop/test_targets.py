"""Which layers adapters change, and that every part of the package has the same answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoModelForCausalLM, Gemma3Config

from benchmarks.architectures.matrix import JOB, tiny_base, tokenizer
from benchmarks.architectures.models import SHAPE, tiny_model
from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.continual.merge import merge
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.targets import find_targets
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import LoraSpec

DEFAULT = LoraSpec.target_modules
FIVE = dict.fromkeys(DEFAULT, 2)
EXPERTS = "experts in one tensor"

COUNTS: dict[str, dict[str, int]] = {
    "Llama": FIVE,
    "Phi-3": {"qkv_proj": 2, "gate_up_proj": 2, "down_proj": 2},
    "GLM-4": {"q_proj": 2, "v_proj": 2, "gate_up_proj": 2, "down_proj": 2},
    "GPT-2": {"c_attn": 2},
    "Mixtral": {"q_proj": 2, "v_proj": 2},
    "Qwen3 MoE with a dense layer": {"q_proj": 2, "v_proj": 2, "gate_proj": 1, "up_proj": 1, "down_proj": 1},
    "DeepSeek V2": {"q_proj": 2, "gate_proj": 2, "up_proj": 2, "down_proj": 2},
}


@pytest.mark.parametrize("name", COUNTS)
def test_default_names_stand_for_what_the_model_has_of_them(name: str) -> None:
    assert tiny_base(name).targets(JOB.lora).counts == COUNTS[name]


def test_what_is_asked_for_and_not_adapted_is_said() -> None:
    assert tiny_base("Llama").targets(JOB.lora).missing == {}
    assert tiny_base("Phi-3").targets(JOB.lora).missing == {}
    assert tiny_base("Mixtral").targets(JOB.lora).missing == dict.fromkeys(("gate_proj", "up_proj", "down_proj"), EXPERTS)
    assert tiny_base("DeepSeek V2").targets(JOB.lora).missing["v_proj"] == "no such layer"
    assert tiny_base("DeepSeek V2").targets(JOB.lora).missing["gate_proj"] == EXPERTS


WRONG: dict[tuple[str, str], tuple[type[Exception], str]] = {
    ("Llama", "lm_head"): (ModelError, "'lm_head' is the model's head"),
    ("Llama", "q_proj,lm_head"): (ModelError, "'lm_head' is the model's head"),
    ("Llama", "q_proj,w9"): (SettingError, "expected linear layers of this model: down_proj"),
    ("Mixtral", "q_proj,down_proj"): (ModelError, "'down_proj' in experts in one tensor.* Leave the name out"),
    ("DeepSeek V2", "gate_proj"): (ModelError, "'gate_proj' in experts in one tensor"),
    ("Mamba", ",".join(DEFAULT)): (ModelError, "Set lora_targets to some of dt_proj, in_proj"),
}


@pytest.mark.parametrize("loop", INNER_LOOPS)
@pytest.mark.parametrize(("name", "wanted"), WRONG)
def test_names_that_are_not_adapted_in_full_are_refused_by_both_loops(name: str, wanted: str, loop: str) -> None:
    kind, message = WRONG[name, wanted]
    job = replace(JOB, lora=LoraSpec(8, 16.0, tuple(wanted.split(","))))
    with pytest.raises(kind, match=message):
        INNER_LOOPS[loop](tiny_base(name)).run([job])


@pytest.mark.parametrize("name", ["Qwen3 MoE with a dense layer", "DeepSeek V2", "Phi-3"])
def test_peft_gets_the_layers_that_are_named_and_no_others(name: str) -> None:
    base = tiny_base(name)
    model = ReferenceInnerLoop(base)._adapter.reset(JOB.lora, 0)
    adapted = [each for each, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    assert tuple(adapted) == base.targets(JOB.lora).layers


@pytest.mark.parametrize("loop", INNER_LOOPS)
@pytest.mark.parametrize("name", ["Qwen3 MoE with a dense layer", "DeepSeek V2", "Phi-3", "GPT-2"])
def test_saved_adapter_is_the_trained_model_in_peft_and_merged(name: str, loop: str, tmp_path: Path) -> None:
    base, saved = tiny_base(name), tmp_path / "adapter"
    (result,) = INNER_LOOPS[loop](base).run([replace(JOB, save_to=saved)])
    fresh: Any = PeftModel.from_pretrained(tiny_model(name, len(tokenizer())), str(saved))
    alike = FrozenLM(name, fresh.eval(), tokenizer(), torch.device("cpu"), 512)
    for model in (alike, merge(base, [saved], "merged")):
        (asked,) = ReferenceInnerLoop(model).run([replace(JOB, examples_E=())])
        assert [answer.margin for answer in asked.answers_Q] == pytest.approx([a.margin for a in result.answers_Q], abs=2e-3)


def test_config_of_a_usual_adapter_names_kinds_of_layers(tmp_path: Path) -> None:
    INNER_LOOPS["batched"](tiny_base("Llama")).run([replace(JOB, save_to=tmp_path / "adapter")])
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (sorted(config["target_modules"]), config["target_parameters"]) == (sorted(DEFAULT), None)


def test_towers_for_images_stay_as_they_are() -> None:
    text = {**SHAPE, "vocab_size": 300, "query_pre_attn_scalar": 8}
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = Gemma3Config(text_config=text, vision_config={**tower, "image_size": 28, "patch_size": 14})
    model: Any = AutoModelForCausalLM.from_config(config)
    assert any("vision_tower" in name and name.endswith("q_proj") for name, _ in model.named_modules())
    found = find_targets(model, DEFAULT)
    assert found.counts == FIVE
    assert not [name for name in found.layers if "vision" in name]


class Quantised(torch.nn.Linear):
    """A layer whose weight is not what it multiplies by."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_layers_that_are_no_plain_products_are_refused(loop: str) -> None:
    base = tiny_base("Llama")
    base.model.set_submodule("model.layers.1.mlp.up_proj", Quantised(32, 48, bias=False).requires_grad_(False))
    with pytest.raises(ModelError, match=r"mlp.up_proj' is a Quantised.* leave 'up_proj' out of lora_targets"):
        INNER_LOOPS[loop](base).run([JOB])


def test_layers_with_code_of_their_own_that_are_plain_products_are_adapted() -> None:
    assert tiny_base("Falcon").targets(JOB.lora).counts == {"query_key_value": 2}


def test_wrong_layers_are_refused_at_the_reset(tiny_models: dict[str, str]) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", model=tiny_models["llama"], device="cpu", lora_targets="lm_head")
    with pytest.raises(ModelError, match="'lm_head' is the model's head"):
        env.reset()


def test_quantised_model_is_refused() -> None:
    model = tiny_model("Llama", 64)
    model.is_quantized = True
    with pytest.raises(ModelError, match=r"model='q' is quantised, .* Use the original model"):
        FrozenLM("q", model, tokenizer(), torch.device("cpu"), 512)
    packed = tiny_model("Llama", 64)
    codes = torch.nn.Parameter(torch.zeros(768, 1, dtype=torch.uint8), requires_grad=False)
    packed.model.layers[0].mlp.up_proj.weight = codes
    with pytest.raises(ModelError, match=r"'model.layers.0.mlp.up_proj.weight' has torch.uint8"):
        FrozenLM("q", packed, tokenizer(), torch.device("cpu"), 512)
