"""The same updates on a CUDA device: bf16 base model, fp32 adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from safetensors.torch import load_file

from seal_env.agents.baselines import NO_UPDATE, USUAL_SELF_EDIT
from seal_env.env import SealEnv
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.base_model import choose_device, load_base_model
from seal_env.inner_loop.reference import ReferenceInnerLoop

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


def infos(device: str, action: str) -> list[dict[str, Any]]:
    """The last info of an episode on each task."""
    env, found = make(device), []
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
    infos("cuda", USUAL_SELF_EDIT)
    assert {(weight.dtype, weight.device.type) for weight in loop._adapter.parameters()} == {(torch.float32, "cuda")}
    assert loop.base.model.get_input_embeddings().weight.dtype == torch.bfloat16


def test_base_model_is_bit_identical_after_updates() -> None:
    def weights() -> dict[str, torch.Tensor]:
        found = load_base_model("seal-tiny", "cuda").model.state_dict().items()
        return {name.replace("base_layer.", ""): weight.clone() for name, weight in found if "lora_" not in name}

    before = weights()
    infos("cuda", USUAL_SELF_EDIT)
    after = weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("action", [NO_UPDATE, USUAL_SELF_EDIT])
def test_rewards_are_those_of_the_cpu(action: str) -> None:
    """bf16 may tip one answer in five the other way, not more."""
    here, there = infos("cpu", action), infos("cuda", action)
    assert sum(a["accuracy_after"] != b["accuracy_after"] for a, b in zip(here, there, strict=True)) <= 1
    assert sum(a["accuracy_before"] != b["accuracy_before"] for a, b in zip(here, there, strict=True)) <= 1


def test_losses_are_those_of_the_cpu() -> None:
    for here, there in zip(infos("cpu", USUAL_SELF_EDIT), infos("cuda", USUAL_SELF_EDIT), strict=True):
        assert there["losses"][:5] == pytest.approx(here["losses"][:5], rel=0.05, abs=0.01)


def test_paper_profile_trains_on_padding_with_a_mask() -> None:
    env = make("cuda", profile="paper")
    env.reset(seed=0)
    info = env.step(USUAL_SELF_EDIT)[4]
    assert info["outcome"] == "ok"
    assert info["losses"][-1] < info["losses"][0]


def test_vote_decodes_on_the_gpu() -> None:
    env = make("cuda", evaluation="vote")
    env.reset(seed=0)
    info = env.step(USUAL_SELF_EDIT)[4]
    assert info["outcome"] == "ok"
    assert any(attempt is not None for attempts in info["predictions_after"] for attempt in attempts)


def test_saved_adapter_is_fp32(tmp_path: Path) -> None:
    env = make("cuda", save_adapters=str(tmp_path))
    env.reset(seed=0)
    env.step(USUAL_SELF_EDIT)
    (saved,) = tmp_path.glob("*/adapter_model.safetensors")
    assert {weight.dtype for weight in load_file(saved).values()} == {torch.float32}
