"""Many weight updates in progress: each job has a slot with an adapter, an optimizer and its place in its own schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.progress import JobInProgress, begin_job, lay_out
from seal_env.inner_loop.optim.adamw import adamw_step
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import UpdateJob


class TrainingSlots:
    """Slots for `count` jobs of one adapter shape on one model."""

    def __init__(self, model: PackedModel, count: int, pad: int) -> None:
        self.model, self.pad = model, pad
        self.stack = LoraStack(model.spec, model.layers, count, learn=True)
        self._moments = torch.zeros_like(self.stack.weights), torch.zeros_like(self.stack.weights)
        self._steps = torch.zeros(count, device=self.stack.weights.device)

    def begin(self, slot: int, job: UpdateJob, examples_E: Sequence[EncodedExample]) -> JobInProgress:
        """Put a job with at least one optimizer step into a free slot."""
        self.stack.reset(slot, job.seed)
        for moment in self._moments:
            moment[slot] = 0
        self._steps[slot] = 0
        return begin_job(job, slot, examples_E)

    def step(self, jobs: Sequence[JobInProgress]) -> list[float]:
        """One optimizer step of each job; the mean loss of each. If memory runs out, it raises before any weight moves."""
        losses = self._gradients(jobs)
        for job in jobs:
            self._update(job)
        return losses.tolist()

    def _update(self, job: JobInProgress) -> None:
        """Clip the gradient and take a step of AdamW on one adapter, a flat vector [parameters]."""
        assert self.stack.gradients is not None
        recipe, slot = job.job.recipe, job.slot
        weights, gradient = self.stack.weights[slot], self.stack.gradients[slot]
        gradient *= (recipe.max_grad_norm / (gradient.norm() + 1e-6)).clamp(max=1.0)
        first, second = (moment[slot] for moment in self._moments)
        adamw_step([weights], [gradient], ([first], [second]), [self._steps[slot]], recipe, job.learning_rate)
        self.stack.publish(slot)

    def _gradients(self, jobs: Sequence[JobInProgress]) -> torch.Tensor:
        assert self.stack.gradients is not None
        for job in jobs:
            self.stack.gradients[job.slot] = 0
        total = torch.zeros(len(jobs), dtype=self.stack.weights.dtype, device=self.stack.weights.device)
        for part in range(max(job.parts for job in jobs)):
            total += self._backward(jobs, part)
        return total

    def _backward(self, jobs: Sequence[JobInProgress], part: int) -> torch.Tensor:
        """Add the gradients of each job's micro-batch `part`; its share of each job's loss, [jobs]."""
        device, dtype = self.stack.weights.device, self.stack.weights.dtype
        packed, where = lay_out(jobs, part, self.pad, device, dtype)
        states = self.model.hidden(packed, self.stack)[where.positions]
        total, losses = cross_entropy(states, self.model.head, where.labels, where.shares)
        total.backward()
        return torch.zeros(len(jobs), dtype=dtype, device=device).index_add(0, where.jobs, losses.to(dtype))
