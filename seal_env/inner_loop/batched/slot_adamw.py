"""AdamW for the adapters of all slots in one kernel, which clips the gradients and publishes the weights as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from seal_env.inner_loop.batched.kernels import find_kernels
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packing import on_device
from seal_env.inner_loop.batched.progress import JobInProgress
from seal_env.inner_loop.optim.adamw import BETAS, AdamW
from seal_env.inner_loop.optim.base import Optimizer


class SlotAdamW:
    """The moments of all slots, and steps of several at once: what `AdamW` and the clipping before it do for one."""

    def __init__(self, stack: LoraStack, kernels: Any) -> None:
        """Allocate the moments.

        Args:
            stack: The adapters, with gradients.
            kernels: The module `triton_kernels`.
        """
        self._stack, self._kernels = stack, kernels
        self._moments = (torch.zeros_like(stack.weights), torch.zeros_like(stack.weights))
        self._steps = [0] * len(stack.weights)
        self._rows: tuple[list[int], torch.Tensor] = ([], torch.empty(0, dtype=torch.long))

    def reset(self, slot: int) -> None:
        """Return a slot to the state before the first step."""
        self._steps[slot] = 0
        for moment in self._moments:
            moment[slot] = 0

    @torch.no_grad()
    def step(self, jobs: Sequence[JobInProgress]) -> None:
        """One step of each job's adapter, from the gradients in the stack."""
        stack, slots = self._stack, [job.slot for job in jobs]
        assert stack.gradients is not None
        if slots != self._rows[0]:
            self._rows = (slots, on_device(slots, torch.long, stack.weights.device))
        flat = [number for job in jobs for number in self._numbers(job)]
        numbers = on_device(flat, torch.float32, stack.weights.device).unflatten(0, (len(jobs), -1))
        clips = (numbers[:, 4] / (self._norms(slots) + 1e-6)).clamp(max=1.0)
        self._kernels.adamw_of_slots(
            stack.weights, stack.used, stack.gradients, self._moments, self._rows[1], clips, numbers, BETAS
        )

    def _numbers(self, job: JobInProgress) -> tuple[float, ...]:
        """See `adamw_of_slots`; last the limit on the gradient's norm."""
        self._steps[job.slot] += 1
        step, rate, recipe = self._steps[job.slot], job.learning_rate, job.job.recipe
        corrections = [1 - beta**step for beta in BETAS]
        kept, root = 1 - rate * recipe.weight_decay, 1 / math.sqrt(corrections[1])
        return kept, rate / corrections[0], root, recipe.adam_eps, recipe.max_grad_norm

    def _norms(self, slots: Sequence[int]) -> torch.Tensor:
        """Of the gradients of these slots, [slots]."""
        gradients = self._stack.gradients
        assert gradients is not None
        if list(slots) == list(range(slots[0], slots[0] + len(slots))):
            block = gradients[slots[0] : slots[0] + len(slots)]
            norms: torch.Tensor = torch.linalg.vector_norm(block, dim=1, dtype=torch.float32)
            return norms
        return torch.stack([torch.linalg.vector_norm(gradients[slot], dtype=torch.float32) for slot in slots])


def kernels_for(optimizer: Optimizer, weights: torch.Tensor) -> Any | None:
    """The kernels of a SlotAdamW; None where the optimizer takes its steps slot by slot.

    Args:
        optimizer: The update rule.
        weights: Of the model, which adapters are made to fit.
    """
    if type(optimizer) is not AdamW or weights.dtype == torch.float64:
        return None
    return find_kernels("optimizer", weights.device)
