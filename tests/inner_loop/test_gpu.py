"""The same updates on a CUDA device: bf16 base model, fp32 adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from safetensors.torch import load_file

from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.inner_loop import INNER_LOOPS, make_inner_loop
from seal_env.inner_loop.batched.attention import VariableLengthAttention, attention_over
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce, OneByOne
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Piece, pack
from seal_env.inner_loop.model.frozen_lm import choose_device, load_base_model
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import LoraSpec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device that torch can use"),
]
TASKS = 5


def make(device: str, **settings: Any) -> SealEnv:
    env = gymnasium.make(
        "SEAL-ARC-Mini-v0", subset=f"mini-train:{TASKS}", device=device, max_examples=20, cache="off", **settings
    ).unwrapped
    assert isinstance(env, SealEnv)
    return env


def infos(device: str, action: str, inner_loop: str = "batched") -> list[dict[str, Any]]:
    """The last info of an episode on each task."""
    env, found = make(device, inner_loop=inner_loop), []
    for task_id in env.taskset.task_ids:
        env.reset(seed=0, options={"task_id": task_id})
        _, _, terminated, _, info = env.step(action)
        assert (terminated, info["outcome"]) == (True, "ok")
        found.append(info)
    return found


def test_automatic_device_is_the_first_gpu() -> None:
    assert choose_device("auto") == torch.device("cuda", 0)


def test_base_model_is_bf16_and_its_adapter_fp32() -> None:
    loop = make_inner_loop("reference", "seal-tiny", "cuda")
    assert isinstance(loop, ReferenceInnerLoop)
    infos("cuda", ARC.default_self_edit, "reference")
    assert {(weight.dtype, weight.device.type) for weight in loop._adapter.parameters()} == {(torch.float32, "cuda")}
    assert loop.base.model.get_input_embeddings().weight.dtype == torch.bfloat16


def test_base_model_is_bit_identical_after_updates() -> None:
    def weights() -> dict[str, torch.Tensor]:
        return {name: weight.clone() for name, weight in load_base_model("seal-tiny", "cuda").model.state_dict().items()}

    before = weights()
    infos("cuda", ARC.default_self_edit)
    after = weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("inner_loop", INNER_LOOPS)
@pytest.mark.parametrize("action", [ARC.no_update, ARC.default_self_edit])
def test_rewards_are_those_of_the_cpu(action: str, inner_loop: str) -> None:
    """bf16 may tip one answer in five the other way, not more."""
    here, there = infos("cpu", action), infos("cuda", action, inner_loop)
    assert sum(a["accuracy_after"] != b["accuracy_after"] for a, b in zip(here, there, strict=True)) <= 1
    assert sum(a["accuracy_before"] != b["accuracy_before"] for a, b in zip(here, there, strict=True)) <= 1


@pytest.mark.parametrize("inner_loop", INNER_LOOPS)
def test_losses_are_those_of_the_cpu(inner_loop: str) -> None:
    self_edit = ARC.default_self_edit
    for here, there in zip(infos("cpu", self_edit), infos("cuda", self_edit, inner_loop), strict=True):
        assert there["losses"][:5] == pytest.approx(here["losses"][:5], rel=0.05, abs=0.01)


def test_paper_profile_trains_on_padding_with_a_mask() -> None:
    env = make("cuda", profile="paper")
    env.reset(seed=0)
    info = env.step(ARC.default_self_edit)[4]
    assert info["outcome"] == "ok"
    assert info["losses"][-1] < info["losses"][0]


def test_batched_loop_uses_the_kernels_of_the_gpu() -> None:
    model = PackedModel(load_base_model("seal-tiny", "cuda"), LoraSpec(16, 256.0))
    stack = LoraStack(model.spec, model.layers, 2, learn=True)
    assert isinstance(stack.products, AllAtOnce)
    assert isinstance(attention_over(pack([Piece([1, 2, 3], 3, 0)], model.base.device)), VariableLengthAttention)
    assert (stack.weights.dtype, stack.by_layer[stack.shapes[0].name][0].dtype) == (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("profile", ["fixed", "paper"])
def test_kernels_of_the_gpu_give_what_single_products_give(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> list[list[float]]:
        envs = gymnasium.make_vec(
            "SEAL-ARC-Mini-v0", num_envs=TASKS, device="cuda", max_examples=20, cache="off", profile=profile
        )
        envs.reset(seed=0)
        return [found[:5] for found in envs.step((ARC.default_self_edit,) * TASKS)[4]["losses"]]

    fast = losses()
    load_base_model("seal-tiny", "cuda").inner_loops.clear()
    monkeypatch.setattr("seal_env.inner_loop.batched.lora.choose_products", lambda *_: OneByOne())
    monkeypatch.setattr("seal_env.inner_loop.batched.attention.varlen_kernel", lambda: None)
    for ours, theirs in zip(fast, losses(), strict=True):
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.01)


def test_vote_decodes_on_the_gpu() -> None:
    env = make("cuda", evaluation="vote")
    env.reset(seed=0)
    info = env.step(ARC.default_self_edit)[4]
    assert info["outcome"] == "ok"
    assert any(attempt is not None for attempts in info["predictions_after"] for attempt in attempts)


def test_saved_adapter_is_fp32(tmp_path: Path) -> None:
    env = make("cuda", save_adapters=str(tmp_path))
    env.reset(seed=0)
    env.step(ARC.default_self_edit)
    (saved,) = tmp_path.glob("*/adapter_model.safetensors")
    assert {weight.dtype for weight in load_file(saved).values()} == {torch.float32}
