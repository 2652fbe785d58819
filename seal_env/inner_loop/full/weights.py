"""All weights of a model as full fine-tuning changes them, and what they are restored from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.memory import free_bytes

ROOM = 1.25
"""Free memory of a GPU over what weights, gradients and optimizer take, for which the base model can stay where it is."""


class FullWeights:
    """A base model's modules with weights that learn.

    These are copies: the base model is not written, whoever reads it meanwhile, and is what they are restored from. Only
    on a GPU without room for both they are the base model's own, and copies on the CPU are what is restored: whoever reads
    the base model meanwhile reads weights that change.

    learner: the model with these weights. used: what it computes with, each weight once, in the model's dtype. masters: the
    same in fp32 at least, where an optimizer writes; the very same tensors unless the model is in less.
    """

    def __init__(self, base: FrozenLM, state_tensors: int) -> None:
        """Copy the weights. state_tensors: see `Optimizer`; memory for them will be needed too."""
        originals = [weight.detach() for weight in base.model.parameters()]
        apart = has_room_apart(base, state_tensors)
        self._kept = originals if apart else [weight.to("cpu", copy=True) for weight in originals]
        self.used = [torch.nn.Parameter(weight.clone() if apart else weight) for weight in originals]
        coarse = any(weight.element_size() < 4 for weight in self.used)
        self.masters = [torch.nn.Parameter(weight.detach().float()) for weight in self.used] if coarse else self.used
        self.learner = base.beside(share(base.model, self.used))

    @property
    def coarse(self) -> bool:
        """True if the model computes with less than fp32."""
        return self.masters is not self.used

    @torch.no_grad()
    def publish(self) -> None:
        """Let the model compute with the masters as they are now."""
        if self.coarse:
            for used, master in zip(self.used, self.masters, strict=True):
                used.copy_(master)

    @torch.no_grad()
    def restore(self) -> None:
        """The base model's weights again, bit by bit, and no gradients."""
        for used, master, kept in zip(self.used, self.masters, self._kept, strict=True):
            used.grad = master.grad = None
            used.copy_(kept)
            if self.coarse:
                master.copy_(used)

    @property
    def finite(self) -> bool:
        """True if every weight is a number."""
        return all(bool(weight.isfinite().all()) for weight in self.used)


@contextmanager
def learning(base: FrozenLM, state_tensors: int) -> Iterator[FullWeights]:
    """Weights that may learn inside the `with` block; whatever happens there, the base model is itself again after it."""
    weights = FullWeights(base, state_tensors)
    try:
        yield weights
    finally:
        weights.restore()


def has_room_apart(base: FrozenLM, state_tensors: int) -> bool:
    """True if weights that learn fit beside the base model: always, except on a GPU that is too small for it.

    Args:
        base: The base model.
        state_tensors: Tensors that the optimizer keeps for each weight.
    """
    if base.device.type == "cpu":
        return True
    needed = 0
    for weight in base.model.parameters():
        exact = max(4, weight.element_size())
        master = exact if weight.element_size() < exact else 0
        needed += weight.numel() * (2 * weight.element_size() + master + state_tensors * exact)
    return free_bytes(base.device) >= ROOM * needed
