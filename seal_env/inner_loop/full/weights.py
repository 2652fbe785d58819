"""All weights of a model while full fine-tuning changes them, and what they are restored from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.memory import free_bytes

ROOM = 1.25
"""Free memory that a GPU must have, over what weights, gradients and optimizer take, to leave the base model in place."""


class FullWeights:
    """A base model's modules with trainable weights.

    The weights are copies, so the base model stays as it is and can be read meanwhile. Only on a GPU without room for both
    are they the base model's own, restored afterwards from copies on the CPU; then nobody may read the base model meanwhile.

    Attributes:
        learner: The model with the trainable weights.
        used: The weights that the model computes with, in its dtype.
        masters: The weights that the optimizer writes, in fp32 or better; the same tensors if the model is too.
    """

    def __init__(self, base: FrozenLM, state_tensors: int) -> None:
        """Copy the weights. state_tensors: see `Optimizer`; memory for them will be needed too."""
        originals = [weight.detach() for weight in base.model.parameters()]
        apart = has_room_apart(base, state_tensors)
        self._original = originals if apart else [weight.to("cpu", copy=True) for weight in originals]
        self.used = [torch.nn.Parameter(weight.clone() if apart else weight) for weight in originals]
        coarse = any(weight.element_size() < 4 for weight in self.used)
        self.masters = [torch.nn.Parameter(weight.detach().float()) for weight in self.used] if coarse else self.used
        self.learner = base.beside(share(base.model, self.used))

    @property
    def coarse(self) -> bool:
        """True if the model's dtype is coarser than fp32."""
        return self.masters is not self.used

    @torch.no_grad()
    def publish(self) -> None:
        """Copy the masters to the weights that the model computes with."""
        if self.coarse:
            for used, master in zip(self.used, self.masters, strict=True):
                used.copy_(master)

    @torch.no_grad()
    def restore(self) -> None:
        """Return to the base model's weights, bit for bit, without gradients."""
        for used, master, original in zip(self.used, self.masters, self._original, strict=True):
            used.grad = master.grad = None
            used.copy_(original)
            if self.coarse:
                master.copy_(used)

    @property
    def finite(self) -> bool:
        """True if every weight is finite."""
        return all(bool(weight.isfinite().all()) for weight in self.used)


@contextmanager
def learning(base: FrozenLM, state_tensors: int) -> Iterator[FullWeights]:
    """Weights that can be trained inside the `with` block; whatever happens there, the base model is as before after it."""
    weights = FullWeights(base, state_tensors)
    try:
        yield weights
    finally:
        weights.restore()


def has_room_apart(base: FrozenLM, state_tensors: int) -> bool:
    """True if trainable weights fit into memory beside the base model; always on a CPU.

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
