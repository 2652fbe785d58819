"""Many weight updates in progress: each job has a slot with its adapter and its optimizer's state."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.progress import JobInProgress, begin_job, lay_out
from seal_env.inner_loop.batched.slot_adamw import one_kernel
from seal_env.inner_loop.optim.base import Optimizer, OptimizerState
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import UpdateJob


class TrainingSlots:
    """Slots for `count` jobs of one adapter shape on one model."""

    def __init__(self, model: PackedModel, count: int, pad: int, optimizer: Optimizer) -> None:
        """Allocate the slots.

        Args:
            model: The base model, prepared for the jobs' adapters.
            count: How many jobs can train side by side.
            pad: The padding token.
            optimizer: The update rule of all jobs.
        """
        self.model, self.pad = model, pad
        self.stack = LoraStack(model.spec, model.layers, count, learn=True)
        weights, gradients, flat = self.stack.weights, self.stack.gradients, optimizer.elementwise
        assert gradients is not None
        self._together = one_kernel(self.stack, optimizer)
        each = range(count) if self._together is None else ()
        self._states = [OptimizerState(optimizer, self.stack.tensors(slot, weights, flat)) for slot in each]
        self._gradient_views = [self.stack.tensors(slot, gradients, flat) for slot in each]

    def begin(self, slot: int, job: UpdateJob, examples_E: Sequence[EncodedExample]) -> JobInProgress:
        """Put a job with at least one optimizer step into a free slot."""
        self.stack.reset(slot, job.seed)
        (self._states[slot].reset() if self._together is None else self._together.reset(slot))
        return begin_job(job, slot, examples_E)

    def step(self, jobs: Sequence[JobInProgress]) -> list[float]:
        """Take one optimizer step of each job.

        Returns:
            The mean loss of each job.

        Raises:
            RuntimeError: Memory ran out; no weight has changed.
        """
        losses = self._gradients(jobs)
        if self._together is not None:
            self._together.step(jobs)
        else:
            for job in jobs:
                self._update(job)
        return losses.tolist()

    def _update(self, job: JobInProgress) -> None:
        """Clip the gradient and take an optimizer step on one adapter."""
        assert self.stack.gradients is not None
        recipe, slot = job.job.recipe, job.slot
        gradient = self.stack.gradients[slot]
        gradient *= (recipe.max_grad_norm / (gradient.norm() + 1e-6)).clamp(max=1.0)
        gradients = self._gradient_views[slot]
        self._states[slot].step(range(len(gradients)), gradients, recipe, job.learning_rate)
        self.stack.publish(slot)

    def _gradients(self, jobs: Sequence[JobInProgress]) -> torch.Tensor:
        self.stack.forget_gradients([job.slot for job in jobs])
        total = torch.zeros(len(jobs), dtype=self.stack.weights.dtype, device=self.stack.weights.device)
        for part in range(max(job.parts for job in jobs)):
            total += self._backward(jobs, part)
        return total

    def _backward(self, jobs: Sequence[JobInProgress], part: int) -> torch.Tensor:
        """Add the gradients of each job's micro-batch `part`. Returns its share of each job's loss, [jobs]."""
        device, dtype = self.stack.weights.device, self.stack.weights.dtype
        packed, where = lay_out(jobs, part, self.pad, device, dtype)
        states = self.model.hidden(packed, self.stack)[where.positions]
        total, losses = cross_entropy(states, self.model.head, where.labels, where.shares)
        total.backward()
        return torch.zeros(len(jobs), dtype=dtype, device=device).index_add(0, where.jobs, losses.to(dtype))
