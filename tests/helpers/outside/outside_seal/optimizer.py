"""An optimizer of its own: imports torch, so that the package itself does not."""

from __future__ import annotations

from seal_env.inner_loop.optim.base import Optimizer


class Sign(Optimizer):
    """Sign descent."""

    state_tensors = 0

    def step(self, weights, gradients, state, steps, recipe, rate):  # type: ignore[no-untyped-def]
        """See Optimizer."""
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.add_(gradient.sign(), alpha=-rate)
