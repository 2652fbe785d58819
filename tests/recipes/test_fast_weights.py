"""Several adapters in one batch: the same numbers as transformers, PEFT and torch's AdamW give one by one."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from recipes.fast_weights import FastWeights, hidden_states, pad_tasks, task_losses
from recipes.step_data import IGNORED
from seal_env.types import LoraSpec

SPEC = LoraSpec(4, 32.0)
ROWS = [
    [([1, 5, 6, 7, 8, 9], [IGNORED, IGNORED, 6, 7, IGNORED, 9]), ([1, 9, 3], [IGNORED, IGNORED, 3])],
    [([2, 4, 4, 8], [IGNORED, 4, 4, 8])],
    [([3, 3, 11, 12, 13], [IGNORED, IGNORED, IGNORED, 12, 13]), ([1, 2, 3, 4], [IGNORED, 2, 3, 4])],
]


@pytest.fixture(scope="module")
def model() -> Any:
    """Random weights, norms included, large enough that every part of a layer tells."""
    shape: dict[str, Any] = {
        "vocab_size": 40,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(**shape, initializer_range=0.2, tie_word_embeddings=True))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


@pytest.fixture(autouse=True)
def _no_gradients_left(model: Any) -> Iterator[None]:
    yield
    model.zero_grad()


def random_ids(rows: int, length: int = 9) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(rows))


def moved(model: Any, tasks: int) -> FastWeights:
    """Adapters that are not zero, a different one for each task."""
    fast = FastWeights(model, SPEC, tasks)
    generator = torch.Generator().manual_seed(1)
    for task in range(tasks):
        fast.reset(task, seed=task)
    with torch.no_grad():
        for _, b in fast.weights.values():
            b.copy_(torch.randn(b.shape, generator=generator) * 0.1)
    return fast


def in_peft(model: Any, fast: FastWeights, task: int) -> Any:
    """The model with one task's adapter, as PEFT runs it."""
    config = LoraConfig(r=SPEC.rank, lora_alpha=int(SPEC.alpha), target_modules=list(SPEC.target_modules))
    wrapped: Any = get_peft_model(deepcopy(model), config)
    parameters = dict(wrapped.named_parameters())
    with torch.no_grad():
        for name, (a, b) in fast.weights.items():
            parameters[f"base_model.model.{name}.lora_A.default.weight"].copy_(a[task])
            parameters[f"base_model.model.{name}.lora_B.default.weight"].copy_(b[task])
    return wrapped


def all_tasks(fast: FastWeights, tasks: int, learn: bool = False) -> Any:
    return fast.take(torch.arange(tasks), learn)


def test_without_adapters_it_is_the_model_of_transformers(model: Any) -> None:
    ids = random_ids(3)
    expected = model.model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(hidden_states(model, ids, None, 0.0), expected, atol=1e-5, rtol=0)


def test_a_fresh_adapter_changes_nothing(model: Any) -> None:
    fast, ids = FastWeights(model, SPEC, 3), random_ids(3)
    for task in range(3):
        fast.reset(task, seed=task)
    assert torch.equal(hidden_states(model, ids, all_tasks(fast, 3), fast.scale), hidden_states(model, ids, None, 0.0))


@pytest.mark.parametrize("task", [0, 1])
def test_each_task_is_read_with_its_own_adapter_as_peft_does(model: Any, task: int) -> None:
    fast, ids = moved(model, 2), random_ids(4)
    found = hidden_states(model, ids, all_tasks(fast, 2), fast.scale)[2 * task : 2 * task + 2]
    expected = in_peft(model, fast, task).base_model.model.model(input_ids=ids[2 * task : 2 * task + 2]).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found - hidden_states(model, ids, None, 0.0)[2 * task : 2 * task + 2]).abs().max() > 0.1


def test_taken_adapters_follow_the_order_asked_for(model: Any) -> None:
    fast, ids = moved(model, 3), random_ids(3)
    whole = hidden_states(model, ids, all_tasks(fast, 3), fast.scale)
    turned = hidden_states(model, ids.flip(0), fast.take(torch.tensor([2, 1, 0]), learn=False), fast.scale).flip(0)
    torch.testing.assert_close(turned, whole, atol=1e-6, rtol=0)


def test_only_the_targeted_layers_have_adapters(model: Any) -> None:
    fast = FastWeights(model, LoraSpec(2, 4.0, ("q_proj", "down_proj")), 1)
    layers = ("self_attn.q_proj", "mlp.down_proj")
    assert set(fast.weights) == {f"model.layers.{number}.{layer}" for number in (0, 1) for layer in layers}


@pytest.mark.parametrize("task", [0, 1, 2])
def test_gradients_of_peft_are_the_gradients_of_each_task(model: Any, task: int) -> None:
    fast, (ids, labels) = moved(model, 3), pad_tasks(ROWS, pad=0)
    adapters = all_tasks(fast, 3, learn=True)
    task_losses(model, ids, labels, adapters, fast.scale).sum().backward()
    alone = in_peft(model, fast, task)
    alone(input_ids=ids[task], labels=labels[task]).loss.backward()
    parameters = dict(alone.named_parameters())
    for name, pair in fast.weights.items():
        for letter, weight in zip("AB", pair, strict=True):
            expected = parameters[f"base_model.model.{name}.lora_{letter}.default.weight"].grad
            assert weight.grad is not None
            torch.testing.assert_close(weight.grad[task], expected, atol=1e-5, rtol=1e-4)


def test_gradients_of_a_task_reach_its_own_adapter_only(model: Any) -> None:
    fast, (ids, labels) = moved(model, 3), pad_tasks(ROWS, pad=0)
    task_losses(model, ids, labels, all_tasks(fast, 3, learn=True), fast.scale)[1].backward()
    reached = [[bool(weight.grad[task].any()) for weight in fast.flat()] for task in range(3)]  # type: ignore[index]
    assert [set(weights) for weights in reached] == [{False}, {True}, {False}]


def test_a_query_reaches_the_base_model_and_no_adapter(model: Any) -> None:
    fast, (ids, labels) = moved(model, 3), pad_tasks(ROWS, pad=0)
    task_losses(model, ids, labels, all_tasks(fast, 3), fast.scale).sum().backward()
    assert all(weight.grad is None for weight in fast.flat())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("task", [0, 1, 2])
def test_loss_of_a_task_is_that_of_transformers(model: Any, task: int) -> None:
    ids, labels = pad_tasks(ROWS, pad=0)
    found = task_losses(model, ids, labels, None, 0.0)[task]
    torch.testing.assert_close(found, model(input_ids=ids[task], labels=labels[task]).loss, atol=1e-5, rtol=0)


def test_padding_changes_no_loss(model: Any) -> None:
    fast = moved(model, 3)
    ids, labels = pad_tasks(ROWS, pad=0)
    together = task_losses(model, ids, labels, all_tasks(fast, 3), fast.scale)
    for task, rows in enumerate(ROWS):
        alone_ids, alone_labels = pad_tasks([rows], pad=0)
        taken = fast.take(torch.tensor([task]), learn=False)
        alone = task_losses(model, alone_ids, alone_labels, taken, fast.scale)[0]
        torch.testing.assert_close(together[task], alone, atol=1e-6, rtol=0)
    other = task_losses(model, *pad_tasks(ROWS, pad=17), all_tasks(fast, 3), fast.scale)
    torch.testing.assert_close(together, other, atol=1e-6, rtol=0)


def test_rows_are_padded_on_the_right_and_below() -> None:
    ids, labels = pad_tasks([[([5, 6], [IGNORED, 6])], [([7], [7]), ([8, 9, 3], [IGNORED, 9, 3])]], pad=0)
    assert ids.tolist() == [[[5, 6, 0], [0, 0, 0]], [[7, 0, 0], [8, 9, 3]]]
    blank = [IGNORED] * 3
    assert labels.tolist() == [[[IGNORED, 6, IGNORED], blank], [[7, IGNORED, IGNORED], [IGNORED, 9, 3]]]


def test_a_task_without_supervised_tokens_has_no_loss(model: Any) -> None:
    ids, labels = pad_tasks([[([5, 6], [IGNORED, IGNORED])], [([7, 8], [IGNORED, 8])]], pad=0)
    losses = task_losses(model, ids, labels, None, 0.0)
    assert losses[0] == 0 < losses[1]


def random_gradients(fast: FastWeights, step: int) -> list[torch.Tensor]:
    """Those of task 0 are clipped, those of task 1 are not, those of task 2 now and then."""
    generator = torch.Generator().manual_seed(step)
    size = torch.tensor([3.0, 1e-4, 0.02 * (step % 2)])[:, None, None]
    return [torch.randn(weight.shape, generator=generator) * size for weight in fast.flat()]


@pytest.mark.parametrize("task", [0, 1, 2])
def test_a_step_is_that_of_adamw_with_clipping_for_each_task(model: Any, task: int) -> None:
    fast = moved(model, 3)
    alone = [torch.nn.Parameter(weight.detach()[task].clone()) for weight in fast.flat()]
    optimizer = torch.optim.AdamW(alone, lr=1.0, weight_decay=0)
    for step in range(5):
        gradients, rates = random_gradients(fast, step), torch.tensor([1e-3, 1e-2, 0.0 if step == 0 else 3e-3])
        for parameter, gradient in zip(alone, gradients, strict=True):
            parameter.grad = gradient[task].clone()
        torch.nn.utils.clip_grad_norm_(alone, 1.0)
        optimizer.param_groups[0]["lr"] = float(rates[task])
        optimizer.step()
        fast.step(gradients, rates)
    for weight, parameter in zip(fast.flat(), alone, strict=True):
        torch.testing.assert_close(weight.detach()[task], parameter.detach(), atol=1e-6, rtol=0)


def test_reset_gives_the_adapter_that_peft_begins_with(model: Any) -> None:
    fast = moved(model, 2)
    fast.reset(0, seed=5)
    for a, b in fast.weights.values():
        bound = a.shape[2] ** -0.5
        assert 0.8 * bound < a[0].abs().max() <= bound
        assert not b[0].any()
        assert b[1].any()


def test_reset_draws_from_the_seed(model: Any) -> None:
    fast = FastWeights(model, SPEC, 3)
    for task, seed in enumerate((5, 5, 6)):
        fast.reset(task, seed)
    for a, _ in fast.weights.values():
        assert torch.equal(a[0], a[1])
        assert not torch.equal(a[0], a[2])


def test_after_a_reset_a_task_learns_as_if_it_were_the_first(model: Any) -> None:
    rates = torch.tensor([1e-2, 1e-2])
    used, fresh = FastWeights(model, SPEC, 2), FastWeights(model, SPEC, 2)
    for step in range(3):
        used.step([torch.full_like(weight, 0.01 * (step + 1)) for weight in used.flat()], rates)
    other = [weight.detach()[1].clone() for weight in used.flat()]
    for fast in (used, fresh):
        fast.reset(0, seed=5)
    assert all(torch.equal(weight.detach()[1], kept) for weight, kept in zip(used.flat(), other, strict=True))
    for fast in (used, fresh):
        fast.step([torch.full_like(weight, -0.02) for weight in fast.flat()], rates)
    for weight, expected in zip(used.flat(), fresh.flat(), strict=True):
        assert torch.equal(weight.detach()[0], expected.detach()[0])
        assert not torch.equal(weight.detach()[1], expected.detach()[1])
