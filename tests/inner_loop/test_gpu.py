"""The same updates on a CUDA device: bf16 base model, fp32 adapter."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.inner_loop.jobs import digit_job
from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.inner_loop import INNER_LOOPS, inner_loop_on, make_inner_loop
from seal_env.inner_loop.batched.attention import VariableLengthAttention, attention_over
from seal_env.inner_loop.batched.graphs import PLAIN_RUNS, Recorder, recording_stream
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce, OneByOne
from seal_env.inner_loop.batched.kernels import SWITCHES, find_kernels
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import Piece, pack
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.deterministic import WORKSPACE, deterministic_algorithms
from seal_env.inner_loop.model.devices import choose_device
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import PROFILES, LoraSpec, TrainingConfig, UpdateJob

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
    assert all(find_kernels(name, model.base.device) for name in SWITCHES)
    assert model.trims
    assert isinstance(stack.products, AllAtOnce)
    packed = pack([Piece([1, 2, 3], 3, 0)], model.base.device)
    assert isinstance(attention_over(packed, torch.bfloat16), VariableLengthAttention)
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
    for module in ("kernels", "lora", "last_layer"):
        monkeypatch.setattr(f"seal_env.inner_loop.batched.{module}.LEFT_OUT", set(SWITCHES))
    for ours, theirs in zip(fast, losses(), strict=True):
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.01)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[torch.cuda.CUDAGraph]:
    """Each graph that is replayed, each time."""
    found: list[torch.cuda.CUDAGraph] = []
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        found.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    return found


def knowledge_jobs(count: int) -> list[UpdateJob]:
    encoder = load_base_model("seal-tiny", "cuda").encoder
    lora, recipe = LoraSpec(16, 32.0), PROFILES["fixed"]
    training = TrainingConfig("train_using_all_tokens", 1e-4, 4)
    return [
        digit_job(encoder, seed, (60, 40 + seed, 60, 200), 0.5, training, lora, recipe, (4, 80 + seed))
        for seed in range(count)
    ]


def test_small_passes_as_graphs_do_the_same(replays: list[torch.cuda.CUDAGraph]) -> None:
    """Training with jobs that end at different steps, and answers that grow beyond the room of their keys."""
    base, jobs = load_base_model("seal-tiny", "cuda"), knowledge_jobs(5)
    plain = BatchedInnerLoop(base, 3, graphs=False).run(jobs)
    assert not replays
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of graphs that are off
        ours = BatchedInnerLoop(base, 3, graphs=True).run(jobs)
    assert len(set(replays)) > 1
    assert len(replays) > 60
    texts: list[tuple[str | None, str | None]] = []
    for mine, other in zip(ours, plain, strict=True):
        assert (mine.outcome, len(mine.losses_S)) == (other.outcome, len(other.losses_S))
        assert mine.losses_S == pytest.approx(other.losses_S, rel=0.05, abs=0.01)
        margins = [[answer.margin for answer in result.answers_Q] for result in (mine, other)]
        assert margins[0] == pytest.approx(margins[1], rel=0.1, abs=0.3)
        texts += [(a.text, b.text) for a, b in zip(mine.answers_Q, other.answers_Q, strict=True)]
    assert sum(a == b for a, b in texts) >= 0.7 * len(texts)  # bf16 may tip a token of a long one the other way


def test_replayed_pass_is_the_recorded_one_bit_by_bit(
    replays: list[torch.cuda.CUDAGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With deterministic algorithms: others add in any order, the losses of a job for instance."""
    monkeypatch.setenv(WORKSPACE, ":4096:8")
    base, jobs = load_base_model("seal-tiny", "cuda"), knowledge_jobs(3)
    slots = TrainingSlots(PackedModel(base, jobs[0].lora), 3, base.pad_id, make_optimizer("adamw"))
    begun = [
        slots.begin(slot, job, [base.encoder.example(each, job.recipe) for each in job.examples_E[:1]])
        for slot, job in enumerate(jobs)
    ]
    slots.stack.weights.uniform_(-0.02, 0.02)
    for slot in range(3):
        slots.stack.publish(slot)
    found = []
    for _ in range(6):
        with deterministic_algorithms():
            losses = slots._gradients(begun)
        assert slots.stack.gradients is not None
        found.append((losses.clone(), slots.stack.gradients.clone()))
    assert len(replays) == 6 - PLAIN_RUNS
    assert all(torch.equal(losses, found[0][0]) and torch.equal(gradients, found[0][1]) for losses, gradients in found)
    slots.model.graphs = False
    losses, gradients = slots._gradients(begun), slots.stack.gradients  # without padding
    assert losses.tolist() == pytest.approx(found[0][0].tolist(), rel=0.01)
    assert gradients is not None
    assert float((gradients - found[0][1]).norm() / gradients.norm()) < 0.02


class User:
    def __init__(self) -> None:
        self.graphs, self.stream = True, recording_stream(torch.device("cuda"))


def test_work_that_waits_for_the_gpu_is_not_recorded(replays: list[torch.cuda.CUDAGraph]) -> None:
    x, user = torch.ones(3, device="cuda"), User()
    recorder = Recorder(user, x.device)
    with pytest.warns(RuntimeWarning, match="CUDA graphs are off: the model waits for the GPU"):
        found = [recorder.run("key", lambda: x * float(x.sum())) for _ in range(5)]
    assert [each.tolist() for each in found] == [[3.0] * 3] * 5
    assert not user.graphs
    assert not replays


def test_recording_that_fails_leaves_the_gpu_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    x, user = torch.ones(3, device="cuda"), User()
    recorder = Recorder(user, x.device)
    monkeypatch.setattr(Recorder, "_check", Recorder._aside)
    with pytest.warns(RuntimeWarning, match="CUDA graphs are off: recording failed"):
        found = [recorder.run("key", lambda: x * float(x.sum())) for _ in range(5)]
    assert [each.tolist() for each in found] == [[3.0] * 3] * 5
    torch.cuda.empty_cache()
    assert torch.randn(2, device="cuda").isfinite().all()


def test_deterministic_results_are_equal_bit_by_bit_whatever_runs_beside_them() -> None:
    base, jobs = load_base_model("seal-tiny", "cuda"), knowledge_jobs(3)
    loop = inner_loop_on(base, "batched", deterministic=True)
    alone, again = loop.run([jobs[1]]), loop.run([jobs[1]])
    among = [loop.run(jobs)[1]]
    results = [[replace(each, timings={}) for each in found] for found in (alone, again, among)]
    assert results[0] == results[1] == results[2]
    assert len(alone[0].losses_S) == 8


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
