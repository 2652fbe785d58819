"""Optimizers and schedules are those of torch and transformers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from seal_env.inner_loop.optim.base import OptimizerState
from seal_env.inner_loop.optim.registry import OPTIMIZERS, SCHEDULES, make_optimizer
from seal_env.inner_loop.optim.schedules import learning_rate
from seal_env.types import Recipe

DECAY = Recipe(weight_decay=0.1)
THEIRS: dict[str, Any] = {
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.01, eps=1e-8, weight_decay=0.1),
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=0.1),
}


@pytest.mark.parametrize("name", THEIRS)
def test_optimizer_takes_the_steps_of_torch_s(name: str) -> None:
    weights = [torch.randn(4, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    state, theirs = OptimizerState(make_optimizer(name), weights), THEIRS[name](parameters)
    for _ in range(4):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        gradients = [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]
        state.step([0, 1], gradients, DECAY, 0.01)
        theirs.step()
    for weight, parameter in zip(weights, parameters, strict=True):
        torch.testing.assert_close(weight, parameter.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reset_returns_to_the_state_before_the_first_step(name: str) -> None:
    weight, gradient = torch.ones(3), torch.tensor([1.0, -2.0, 0.5])
    state, moved = OptimizerState(make_optimizer(name), [weight]), []
    for _ in range(2):
        weight.fill_(1.0)
        state.reset()
        for _ in range(3):
            state.step([0], [gradient.clone()], DECAY, 0.01)
        moved.append(weight.clone())
    assert torch.equal(*moved)
    assert not torch.equal(moved[0], torch.ones(3))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (3, 10), (11, 5)])
def test_schedule_is_that_of_transformers(name: str, warmup: int, total: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
    theirs, rates = get_scheduler(name, optimizer, warmup, total), []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert [learning_rate(SCHEDULES[name], 0.5, step, warmup, total) for step in range(total)] == pytest.approx(rates)


@pytest.mark.integration
def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from seal_env.inner_loop.optim.registry import check_recipe; from seal_env.types import Recipe;"
        "check_recipe(Recipe()); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
