"""The last layer at the positions with loss alone: the same losses and gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from seal_env.inner_loop.batched import last_layer, lora, slots
from seal_env.inner_loop.batched.grouped_mm import AllAtOnce, OneByOne
from seal_env.inner_loop.batched.last_layer import Chosen, choose_positions
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import BASE, Piece, pack
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.types import PROFILES
from tests.inner_loop.test_batched_inner_loop import JOBS, SPEC, assert_same

CPU = torch.device("cpu")


@pytest.fixture(params=["llama", "qwen2"])
def base(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models[request.param], "cpu")


def first_gradients(base: FrozenLM, profile: str) -> tuple[TrainingSlots, torch.Tensor, torch.Tensor]:
    made = TrainingSlots(PackedModel(base, SPEC), 4, base.pad_id, make_optimizer("adamw"))
    jobs = [replace(job, recipe=PROFILES[profile]) for job in JOBS[:4]]
    begun = [
        made.begin(slot, job, [base.encoder.example(each, job.recipe) for each in job.examples_E])
        for slot, job in enumerate(jobs)
    ]
    for slot, weights in enumerate(made.stack.weights):
        weights += torch.linspace(-0.1, 0.1, len(weights)) * (slot + 1)
    losses = made._gradients(begun)
    assert made.stack.gradients is not None
    return made, losses, made.stack.gradients


@pytest.mark.parametrize("products", [OneByOne, AllAtOnce])
@pytest.mark.parametrize("profile", ["fixed", "paper"])
def test_gradients_are_those_of_all_positions(
    profile: str, products: type, base: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as untrimmed:
        untrimmed.setattr(last_layer, "LEFT_OUT", {"trim"})
        whole, losses, gradients = first_gradients(base, profile)
    monkeypatch.setattr(lora, "choose_products", lambda *_: products())
    seen: list[Any] = []

    def noted(*given: Any) -> Any:
        seen.append(choose_positions(*given))
        return seen[-1]

    monkeypatch.setattr(slots, "choose_positions", noted)
    trimmed, ours, trimmed_gradients = first_gradients(base, profile)
    assert (whole.model.trims, trimmed.model.trims) == (False, True)
    assert seen
    assert all(isinstance(each, Chosen) for each in seen)
    torch.testing.assert_close(ours, losses, atol=1e-6, rtol=1e-6)
    for mine, theirs in zip(trimmed_gradients, gradients, strict=True):
        assert float((mine - theirs).norm() / theirs.norm()) < 1e-5


def test_updates_are_those_of_all_positions(base: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as untrimmed:
        untrimmed.setattr(last_layer, "LEFT_OUT", {"trim"})
        expected = BatchedInnerLoop(base).run(JOBS[:4])
    for ours, theirs in zip(BatchedInnerLoop(base).run(JOBS[:4]), expected, strict=True):
        assert_same(ours, theirs)


def test_models_of_other_kinds_keep_their_layer(tiny_models: dict[str, str], monkeypatch: Any) -> None:
    assert not PackedModel(load_base_model(tiny_models["gpt2"], "cpu"), SPEC).trims
    llama = load_base_model(tiny_models["llama"], "cpu")
    assert PackedModel(llama, SPEC).trims
    monkeypatch.setattr(last_layer, "LEFT_OUT", {"trim"})
    assert not PackedModel(llama, SPEC).trims


def test_positions_are_counted_by_adapter() -> None:
    packed = pack([Piece([0] * 5, 5, 3), Piece([0] * 2, 2, 3), Piece([0] * 4, 4, 4)], CPU)

    def chosen(*positions: int) -> Any:
        return choose_positions(packed, positions, torch.tensor(positions))

    found = chosen(0, 6, 8, 9, 10).packed
    assert found.spans == ((3, slice(0, 2)), (4, slice(2, 5)))
    assert (found.ends.tolist(), found.ends.dtype, found.block) == ([2, 5], torch.int32, slice(3, 5))
    assert chosen(0, 6) is None  # nothing of slot 4
    mixed = pack([Piece([0] * 2, 2, BASE), Piece([0] * 2, 2, 0)], CPU)
    assert choose_positions(mixed, [1, 2], torch.tensor([1, 2])) is None  # a position without an adapter
