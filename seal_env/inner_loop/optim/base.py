"""What an optimizer is to the inner loops, and its state while it trains the weights of one job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from seal_env.types import Recipe

Tensors = Sequence[torch.Tensor]


class Optimizer(ABC):
    """An update rule. It has no state of its own: an inner loop owns weights and state, and reuses one object for many jobs.

    Attributes:
        state_tensors: How many tensors of a weight's shape it needs for each weight (AdamW: 2); memory is planned with it.
        elementwise: True if the update of a number depends on nothing but its own gradient and state. Adapters are then
            handed over as one flat vector, which is faster; otherwise as their matrices, A [rank, inputs] and
            B [outputs, rank] of each layer.
    """

    state_tensors: ClassVar[int]
    elementwise: ClassVar[bool] = True

    @abstractmethod
    def step(
        self,
        weights: Tensors,
        gradients: Tensors,
        state: Sequence[Tensors],
        steps: Tensors,
        recipe: Recipe,
        rate: float,
    ) -> None:
        """Take one optimizer step, in place and without a graph. All tensors have one dtype and one device.

        Args:
            weights: The weights, in the shapes of the model.
            gradients: Their gradients, clipped already; may be overwritten.
            state: `state_tensors` lists of tensors, each in the order and shapes of the weights. 0 before the first step.
            steps: A scalar tensor for each weight in which the steps may be counted. 0 before the first step.
            recipe: Weight decay and other hyperparameters.
            rate: The learning rate of this step.
        """


class OptimizerState:
    """An optimizer at work on the weights of one job, whichever loop trains them."""

    def __init__(self, optimizer: Optimizer, weights: Tensors) -> None:
        """Allocate the state.

        Args:
            optimizer: The update rule.
            weights: What it trains: tensors without gradients of their own, written in place.
        """
        self.optimizer, self.weights = optimizer, list(weights)
        self._state = [[torch.zeros_like(weight) for weight in weights] for _ in range(optimizer.state_tensors)]
        self._steps = [torch.zeros((), device=weight.device) for weight in weights]

    def reset(self) -> None:
        """Return to the state before the first step."""
        for tensor in (*self._steps, *(tensor for tensors in self._state for tensor in tensors)):
            tensor.zero_()

    @torch.no_grad()
    def step(self, indices: Sequence[int], gradients: Tensors, recipe: Recipe, rate: float) -> None:
        """Take one step on some of the weights.

        Args:
            indices: Which weights have a gradient.
            gradients: One for each index, clipped already; may be overwritten.
            recipe: See `Optimizer.step`.
            rate: See `Optimizer.step`.
        """
        weights, steps, *state = ([tensors[i] for i in indices] for tensors in (self.weights, self._steps, *self._state))
        self.optimizer.step(weights, gradients, state, steps, recipe, rate)
