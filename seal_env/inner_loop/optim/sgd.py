"""Stochastic gradient descent with momentum, as `torch.optim.SGD` has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from seal_env.inner_loop.optim.base import Optimizer, Tensors
from seal_env.types import Recipe

MOMENTUM: Final = 0.9


class SGD(Optimizer):
    """SGD with momentum 0.9; the recipe's weight decay is added to the gradient."""

    state_tensors: ClassVar[int] = 1

    def step(
        self, weights: Tensors, gradients: Tensors, state: Sequence[Tensors], steps: Tensors, recipe: Recipe, rate: float
    ) -> None:
        """See Optimizer."""
        for weight, gradient, momentum in zip(weights, gradients, state[0], strict=True):
            momentum.mul_(MOMENTUM).add_(gradient.add_(weight, alpha=recipe.weight_decay))
            weight.add_(momentum, alpha=-rate)
