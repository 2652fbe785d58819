"""Many weight updates in progress: each job has a slot with its adapter and its optimizer's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from seal_env.inner_loop.batched.last_layer import choose_positions
from seal_env.inner_loop.batched.layout import lay_out
from seal_env.inner_loop.batched.lora import LoraStack, kinds_of, layer_shapes, products_for
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import on_device
from seal_env.inner_loop.batched.progress import JobInProgress, begin_job
from seal_env.inner_loop.batched.slot_adamw import SlotAdamW, kernels_for
from seal_env.inner_loop.batched.small_pass import SmallPasses, forward_backward
from seal_env.inner_loop.optim.base import Optimizer, OptimizerState
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import UpdateJob


class AdapterBytes(NamedTuple):
    """What one adapter takes.

    Attributes:
        training: In a training slot, with its gradient and the optimizer's state.
        waiting: While it waits for evaluation outside.
        always_waits: True if it waits outside although its slot is free.
    """

    training: int
    waiting: int
    always_waits: bool


def adapter_bytes(model: PackedModel, optimizer: Optimizer) -> AdapterBytes:
    """What an adapter of this model takes, in bytes: with AdamW in kernels and bf16 16 a weight, and 2 while it waits."""
    products, light = products_for(model.layers, model.spec.rank), kernels_for(optimizer, model.head) is not None
    training = kinds_of(model.head.dtype, products, learn=True, light=light)
    waiting = kinds_of(model.head.dtype, products, learn=False, light=True)
    published = training.used.itemsize if training.used != training.weights else 0
    each = training.weights.itemsize * (1 + optimizer.state_tensors) + published + training.gradients.itemsize
    count = layer_shapes(model.layers, model.spec.rank)[1]
    return AdapterBytes(count * each, count * waiting.weights.itemsize, not published)


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
        self.model, self.count, self.pad, self.optimizer = model, count, pad, optimizer
        kernels = kernels_for(optimizer, model.head)
        self.stack = LoraStack(model.spec, model.layers, count, learn=True, light=kernels is not None)
        weights, gradients, flat = self.stack.weights, self.stack.gradients, optimizer.elementwise
        assert gradients is not None
        self._small = SmallPasses(model, self.stack, pad)
        self._together = None if kernels is None else SlotAdamW(self.stack, kernels)
        each = range(count) if self._together is None else ()
        self._states = [OptimizerState(optimizer, self.stack.tensors(slot, weights, flat)) for slot in each]
        self._gradient_views = [self.stack.tensors(slot, gradients, flat) for slot in each]

    @property
    def bytes_held(self) -> int:
        """What weights, gradients and the optimizer's state take."""
        stack = self.stack
        assert stack.gradients is not None
        held = [*[stack.weights] * (1 + self.optimizer.state_tensors), stack.gradients]
        held += [stack.used] if stack.used is not stack.weights else []
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    @property
    def waiting_apart(self) -> bool:
        """True if jobs that are trained should wait for evaluation in another stack although their slots are free.

        Where the products use a copy of the weights anyway, that copy serves. Elsewhere they wait as they always did, which
        keeps results the same bit by bit.
        """
        return self.stack.used is self.stack.weights

    @property
    def recorded(self) -> bool:
        """True if there are CUDA graphs that work on these slots."""
        return self._small.recorded

    def begin(self, slot: int, job: UpdateJob, examples_E: Sequence[EncodedExample]) -> JobInProgress:
        """Put a job with at least one optimizer step into a free slot."""
        self.stack.reset(slot, job.seed)
        self._project(job, slot)
        (self._states[slot].reset() if self._together is None else self._together.reset(slot))
        return begin_job(job, slot, examples_E)

    def step(self, jobs: Sequence[JobInProgress]) -> torch.Tensor:
        """Take one optimizer step of each job.

        Returns:
            The mean loss of each job, [jobs], on the device, which may not have computed it yet.

        Raises:
            RuntimeError: Memory ran out; no weight has changed.
        """
        losses = self._gradients(jobs)
        if self._together is not None:
            self._together.step(jobs)
        else:
            for job in jobs:
                self._update(job)
        for job in jobs:
            self._project(job.job, job.slot)
        return losses

    def _project(self, job: UpdateJob, slot: int) -> None:
        if job.orthogonal_to:
            self.stack.project(slot, job.orthogonal_to)

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
        """Compute the gradients of one step of each job. Returns the jobs' mean losses, [jobs]."""
        slots = [job.slot for job in jobs]
        layouts = [lay_out(jobs, part, self.pad) for part in range(max(job.parts for job in jobs))]
        weights = [job.job.recipe.regularise for job in jobs]
        if len(layouts) == 1 and not any(weights) and self._small.takes(layouts[0], slots):
            return self._small.run(layouts[0], slots)
        self.stack.forget_gradients(slots)
        device, dtype = self.stack.weights.device, self.stack.weights.dtype
        total = torch.zeros(len(jobs), dtype=dtype, device=device)
        regularise = on_device(weights, dtype, device) if any(weights) else None
        for layout in layouts:
            packed, where = layout.on(device, dtype)
            chosen = choose_positions(packed, layout.positions, where.positions) if self.model.trims else None
            read = (self.model, self.stack, packed, where, len(jobs))
            total += forward_backward(*read, chosen=chosen, regularise=regularise)
        return total
