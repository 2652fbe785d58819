"""The kernels in Triton against the same computation in torch: on a GPU, or on a CPU in Triton's interpreter."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import GPTJConfig, GPTJForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from seal_env.inner_loop.batched import grouped_mm, head, kernels, lora, packed_model, slot_adamw
from seal_env.inner_loop.batched.fused import fuse
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce
from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.model.frozen_lm import load_base_model, share
from seal_env.inner_loop.optim.registry import make_optimizer
from tests.inner_loop.test_batched_inner_loop import JOBS, SPEC, assert_same
from tests.inner_loop.test_cuda_path import SHAPE

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
BETAS = (0.9, 0.999)


def rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Any:
    return apply_rotary_pos_emb(q, k, cos, sin)


def cross_entropy_in_place(logits: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, losses: torch.Tensor) -> None:
    odds = logits.float().log_softmax(1)
    losses.copy_(-odds.gather(1, labels[:, None])[:, 0])
    logits.copy_((odds.exp() - functional.one_hot(labels, logits.shape[1])) * shares[:, None])


def adamw_of_slots(
    weights: Any, used: Any, gradients: Any, state: Any, slots: Any, clips: Any, numbers: Any, betas: tuple[float, float]
) -> None:
    for slot, clip, (kept, rate, root, epsilon, _) in zip(slots.tolist(), clips, numbers, strict=True):
        gradient, first, second = gradients[slot].float() * clip, state[0][slot], state[1][slot]
        first.lerp_(gradient, 1 - betas[0])
        second.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        weights[slot] = kept * weights[slot] - rate * first / (second.sqrt() * root + epsilon)
        used[slot] = weights[slot]


def store_products(total: torch.Tensor, product: torch.Tensor, slots: torch.Tensor, first: bool) -> None:
    if first:
        total[slots] = product.to(total.dtype)
    else:
        total.index_add_(0, slots, product.to(total.dtype))


IN_TORCH = SimpleNamespace(
    rotate=rotate,
    cross_entropy_in_place=cross_entropy_in_place,
    adamw_of_slots=adamw_of_slots,
    store_products=store_products,
)


@pytest.fixture
def in_triton() -> Any:
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("on a CPU with TRITON_INTERPRET=1 only, set before Triton is imported")
    return import_module("seal_env.inner_loop.batched.triton_kernels")


def angles(tokens: int, width: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    halves = torch.randn(1, tokens, width // 2).repeat(1, 1, 2)
    return halves.cos().to(DEVICE, dtype), halves.sin().to(DEVICE, dtype)


@pytest.mark.parametrize(("heads", "key_heads", "width"), [(4, 2, 16), (6, 1, 24), (3, 3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotation_is_that_of_transformers(
    dtype: torch.dtype, heads: int, key_heads: int, width: int, in_triton: Any
) -> None:
    torch.manual_seed(0)
    q, k = (
        torch.randn(1, 5, n, width, device=DEVICE, dtype=dtype).transpose(1, 2).requires_grad_() for n in (heads, key_heads)
    )
    cos, sin = angles(5, width, dtype)
    upstream = [torch.randn(x.shape, device=DEVICE, dtype=dtype) for x in (q, k)]
    ours, theirs = in_triton.rotate(q, k, cos, sin), apply_rotary_pos_emb(q.double(), k.double(), cos.double(), sin.double())
    ours += torch.autograd.grad(ours, (q, k), upstream)
    theirs += torch.autograd.grad(theirs, (q, k), [x.double() for x in upstream])
    for mine, exact in zip(ours, theirs, strict=True):
        assert mine.shape == exact.shape
        torch.testing.assert_close(mine.double(), exact.double(), atol=1e-6 if dtype == torch.float32 else 0.02, rtol=0.01)


@pytest.mark.parametrize("columns", [7, 8192, 20_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cross_entropy_of_rows_is_torchs(dtype: torch.dtype, columns: int, in_triton: Any) -> None:
    torch.manual_seed(0)
    logits = (8 * torch.randn(3, columns, device=DEVICE)).to(dtype)
    labels, shares = (
        torch.tensor([0, columns - 1, columns // 2], device=DEVICE),
        torch.tensor([0.1, 0.0, 2.0], device=DEVICE),
    )
    exact = logits.double().requires_grad_()
    right = functional.cross_entropy(exact, labels, reduction="none")
    (right * shares).sum().backward()
    losses = torch.empty(3, device=DEVICE)
    in_triton.cross_entropy_in_place(logits, labels, shares, losses)
    torch.testing.assert_close(losses.double(), right, atol=1e-5, rtol=1e-5)
    assert exact.grad is not None
    assert float((logits - exact.grad).norm() / exact.grad.norm()) < (1e-5 if dtype == torch.float32 else 5e-3)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the interpreter
def test_logits_that_are_no_numbers_give_a_loss_that_is_none(in_triton: Any) -> None:
    logits, losses = torch.randn(2, 9000, device=DEVICE), torch.empty(2, device=DEVICE)
    logits[0, 8500], logits[1, 3] = torch.nan, torch.inf
    in_triton.cross_entropy_in_place(logits, torch.tensor([1, 1], device=DEVICE), torch.ones(2, device=DEVICE), losses)
    assert not losses.isfinite().any()


@pytest.mark.parametrize("used", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gradient", [torch.float32, torch.bfloat16])
def test_rows_take_adamw_steps_of_their_own(gradient: torch.dtype, used: torch.dtype, in_triton: Any) -> None:
    torch.manual_seed(0)
    start = torch.randn(4, 2100, device=DEVICE)
    gradients = torch.randn(4, 2100, device=DEVICE).to(gradient)
    slots, clips = torch.tensor([1, 3], device=DEVICE), torch.tensor([0.5, 1.0], device=DEVICE)
    found = []
    for made in (in_triton, IN_TORCH):
        weights, copied = start.clone(), torch.zeros(4, 2100, device=DEVICE, dtype=used)
        moments = (torch.zeros_like(start), torch.zeros_like(start))
        for step in (1, 2):
            corrections = [1 - beta**step for beta in BETAS]
            numbers = [[1 - rate / 10, rate / corrections[0], corrections[1] ** -0.5, 1e-8, 0.0] for rate in (0.01, 0.03)]
            made.adamw_of_slots(
                weights, copied, gradients, moments, slots, clips, torch.tensor(numbers, device=DEVICE), BETAS
            )
        found.append((weights, *moments))
        torch.testing.assert_close(copied[slots].float(), weights[slots], atol=0, rtol=0.01 if used == torch.bfloat16 else 0)
        assert torch.equal(weights[0], start[0])
        assert not copied[0].any()
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    command = [sys.executable, "-m", "tests.inner_loop.compile_triton_kernels"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 7


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_products_go_to_their_slots(kind: torch.dtype, first: bool, in_triton: Any) -> None:
    torch.manual_seed(0)
    rows, slots = torch.randn(4, 9000, device=DEVICE).to(kind), torch.tensor([3, 1], device=DEVICE)
    product = torch.randn(2, 300, 10, device=DEVICE, dtype=torch.bfloat16)
    found = []
    for made in (in_triton, IN_TORCH):
        stored = rows.clone()
        made.store_products(stored[:, 2000:5000].view(4, 300, 10), product, slots, first)
        found.append(stored)
    torch.testing.assert_close(found[0].float(), found[1].float(), atol=0 if first else 0.04, rtol=0)
    assert torch.equal(found[0][:, 5000:], rows[:, 5000:])
    assert torch.equal(found[0][0], rows[0])


@pytest.fixture(params=["torch", pytest.param("triton", marks=pytest.mark.slow)])
def everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kernels in place of torch's on this CPU, and grouped products; the names of what asks for them."""
    if request.param == "triton" and DEVICE.type == "cuda":
        pytest.skip("tests/inner_loop/test_gpu.py runs the loop on a GPU")
    made = IN_TORCH if request.param == "torch" else request.getfixturevalue("in_triton")
    asked: set[str] = set()

    def find(name: str, device: torch.device) -> Any:
        asked.add(name)
        return made

    def share_and_fuse(model: Any) -> Any:
        copied = share(model)
        assert len(fuse(copied, None, made.rotate)) == 3 * model.config.num_hidden_layers + 1
        return copied

    for module in (head, slot_adamw, grouped_mm):
        monkeypatch.setattr(module, "find_kernels", find)
    monkeypatch.setattr(packed_model, "share", share_and_fuse)
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    return asked


def test_updates_with_kernels_are_those_without(
    everywhere: set[str], tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_base_model(tiny_models["llama"], "cpu")
    jobs = [replace(each, examples_E=each.examples_E[:1], decode=False) for each in JOBS[:2]]
    ours = BatchedInnerLoop(base).run(jobs)
    assert everywhere == {"head", "optimizer", "gradients"}
    monkeypatch.undo()
    for mine, other in zip(ours, BatchedInnerLoop(base).run(jobs), strict=True):
        assert_same(mine, other)


def test_gradients_replace_those_of_the_step_before(tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora, "choose_products", lambda *_: AllAtOnce())
    base = load_base_model(tiny_models["llama"], "cpu")
    slots = TrainingSlots(PackedModel(base, SPEC), 3, base.pad_id, make_optimizer("adamw"))
    begun = [
        slots.begin(slot, job, [base.encoder.example(each, job.recipe) for each in job.examples_E])
        for slot, job in zip((0, 2, 1), JOBS[:3], strict=True)
    ]
    assert slots.stack.gradients is not None
    for chosen in (begun[:1], begun[:2], begun[1:]):
        slots._gradients(chosen)
        once = slots.stack.gradients.clone()
        slots._gradients(chosen)
        assert torch.equal(slots.stack.gradients, once)
    for job in begun:
        job.micro_batch = 1  # the parts of a step are added up
    slots._gradients(begun[1:])
    for job in begun[1:]:
        torch.testing.assert_close(slots.stack.gradients[job.slot], once[job.slot], atol=1e-6, rtol=1e-4)


def test_head_takes_pieces_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOGITS_AT_ONCE", 1)
    monkeypatch.setattr(head, "TILE", 2)
    states, weight = torch.randn(5, 8, requires_grad=True), torch.randn(11, 8, requires_grad=True)
    labels, shares = torch.tensor([1, 2, 3, 10, 0]), torch.rand(5)
    found = []
    for made in (None, IN_TORCH):
        monkeypatch.setattr(head, "find_kernels", lambda *_, made=made: made)
        total, losses = cross_entropy(states, weight, labels, shares)
        found.append((losses, *torch.autograd.grad(total, (states, weight))))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_rotations_of_another_kind_stay() -> None:
    pairs = GPTJForCausalLM(GPTJConfig(n_embd=32, n_layer=1, n_head=2, vocab_size=64, rotary_dim=16))
    assert fuse(pairs, None, rotate) == []
    llama = LlamaForCausalLM(LlamaConfig(**SHAPE))
    assert not [name for name in fuse(llama, None, lambda q, k, cos, sin: rotate(q, k, sin, cos)) if "attn" in name]


def test_a_part_of_the_rotation_is_left_to_transformers() -> None:
    llama = LlamaForCausalLM(LlamaConfig(**SHAPE)).requires_grad_(False)
    ids = torch.arange(6).repeat(2, 1)
    expected = llama(ids).logits
    calls: list[int] = []

    def counted(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Any:
        calls.append(len(q))
        return rotate(q, k, cos, sin)

    assert len(fuse(llama, None, counted)) == 3 * 2 + 1
    calls.clear()
    torch.testing.assert_close(llama(ids).logits, expected)
    assert calls == []  # two rows
    torch.testing.assert_close(llama(ids[:1]).logits, expected[:1])
    assert calls == [1, 1]


def test_kernels_are_for_gpus_on_which_triton_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert kernels.find_kernels("head", CPU) is None
    cuda = torch.device("cuda", 99)

    def broken(name: str) -> Any:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(kernels, "import_module", broken)
    with caplog.at_level(logging.WARNING):
        assert kernels.find_kernels("head", cuda) is None
    assert "C compiler" in caplog.text
    monkeypatch.setattr(kernels, "_working_kernels", lambda _: IN_TORCH)
    monkeypatch.setattr(kernels, "LEFT_OUT", {"rotary"})
    assert (kernels.find_kernels("rotary", cuda), kernels.find_kernels("head", cuda)) == (None, IN_TORCH)
