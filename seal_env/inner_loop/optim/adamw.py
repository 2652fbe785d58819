"""AdamW (arXiv 1711.05101), as `torch.optim.AdamW` has it, in one fused call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from torch.optim.adamw import adamw

from seal_env.inner_loop.optim.base import Optimizer, Tensors
from seal_env.types import Recipe

BETAS: Final = (0.9, 0.999)


class AdamW(Optimizer):
    """AdamW with betas 0.9 and 0.999; epsilon and weight decay are the recipe's."""

    state_tensors: ClassVar[int] = 2

    def step(
        self, weights: Tensors, gradients: Tensors, state: Sequence[Tensors], steps: Tensors, recipe: Recipe, rate: float
    ) -> None:
        """See Optimizer."""
        adamw(
            list(weights),
            list(gradients),
            list(state[0]),
            list(state[1]),
            [],
            list(steps),
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=recipe.weight_decay,
            eps=recipe.adam_eps,
            maximize=False,
        )
