"""The training slots of the last call, kept for the next one with the CUDA graphs that were recorded on their tensors."""

from __future__ import annotations

import torch

from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.optim.base import Optimizer

KEPT_SHARE = 0.05
"""Slots that take more than this share of the device's memory are not kept."""


class KeptSlots:
    """Keeps the slots of one call at most."""

    def __init__(self) -> None:
        """Nothing is kept yet."""
        self._slots: TrainingSlots | None = None

    @property
    def bytes_held(self) -> int:
        """What the kept slots take."""
        return self._slots.bytes_held if self._slots is not None else 0

    def drop(self) -> None:
        """Keep nothing."""
        self._slots = None

    def take(self, model: PackedModel, count: int, pad: int, optimizer: Optimizer) -> TrainingSlots:
        """At least `count` slots: those that are kept, if they are of this model and this kind of optimizer, or new ones."""
        slots, self._slots = self._slots, None
        if slots is not None and slots.model is model and slots.count >= count and type(slots.optimizer) is type(optimizer):
            return slots
        del slots  # before others are allocated
        return TrainingSlots(model, count, pad, optimizer)

    def keep(self, slots: TrainingSlots) -> None:
        """Keep slots for the next call, if there are graphs for them and they are small. No job may be in them."""
        if slots.recorded and slots.bytes_held <= KEPT_SHARE * total_bytes(slots.stack.weights.device):
            self._slots = slots


def total_bytes(device: torch.device) -> float:
    """The memory of a GPU; without a limit for other devices."""
    return float(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else float("inf")
