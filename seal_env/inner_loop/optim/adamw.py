"""The optimizer of every update: AdamW with the recipe's figures, on whatever tensors a loop keeps its weights in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim.adamw import adamw

from seal_env.types import Recipe

Tensors = Sequence[torch.Tensor]


def adamw_step(
    weights: Tensors, gradients: Tensors, moments: tuple[Tensors, Tensors], steps: Tensors, recipe: Recipe, rate: float
) -> None:
    """One fused step on tensors of one dtype and device, in place.

    moments: first and second, shaped as the weights. steps: of each tensor how many it has taken, a scalar, counted here.
    """
    adamw(
        list(weights),
        list(gradients),
        list(moments[0]),
        list(moments[1]),
        [],
        list(steps),
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=rate,
        weight_decay=recipe.weight_decay,
        eps=recipe.adam_eps,
        maximize=False,
    )
