"""Full fine-tuning of one job at a time by packed passes: no padding, all rows of a micro-batch in one."""

from __future__ import annotations

import time

import torch

from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.layout import lay_out
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.progress import JobInProgress
from seal_env.inner_loop.full.weights import FullWeights
from seal_env.inner_loop.model.memory import in_halves
from seal_env.inner_loop.optim.base import Optimizer, OptimizerState


class FullTraining:
    """One job's update of all weights.

    Where the model is in fp32, the optimizer works on all weights in one call. Where it is in less, gradients are in the
    model's dtype and become fp32 one weight at a time, in a buffer.
    """

    def __init__(self, weights: FullWeights, reader: PackedReader, pad: int, optimizer: Optimizer) -> None:
        """Allocate the optimizer's state.

        Args:
            weights: What learns.
            reader: Of the model that has these weights.
            pad: The padding token.
            optimizer: The update rule.

        Raises:
            RuntimeError: Memory ran out.
        """
        self._weights, self._reader, self._pad = weights, reader, pad
        self._masters = [master.detach() for master in weights.masters]
        self._state = OptimizerState(optimizer, self._masters)
        largest = max(master.numel() for master in self._masters)
        self._buffer = self._masters[0].new_empty(largest) if weights.coarse else None
        self._fits = True

    def run(self, job: JobInProgress) -> bool:
        """Take all optimizer steps, or those up to the first loss that is not finite.

        Weights that are not finite at the end count as divergence too.

        Returns:
            False if memory ran out with a single example.
        """
        began = time.perf_counter()
        while job.rows and self._fits and not job.log.diverged:
            in_halves([job], lambda _: job.note(self._step(job), job.take()), self._shrink)
        job.log.diverged = job.log.diverged or not self._weights.finite
        job.seconds += time.perf_counter() - began
        return self._fits

    def _shrink(self, job: JobInProgress) -> None:
        self._fits = job.micro_batch > 1
        job.micro_batch = max(1, job.micro_batch // 2)

    def _step(self, job: JobInProgress) -> float:
        """Take one optimizer step. Returns its mean loss. If memory runs out, it raises before any weight changes."""
        for weight in self._weights.used:
            weight.grad = None
        loss = sum(self._backward(job, part) for part in range(job.parts))
        learned = [index for index, weight in enumerate(self._weights.used) if weight.grad is not None]
        scale = self._clip(learned, job.job.recipe.max_grad_norm)
        for indices in [[index] for index in learned] if self._weights.coarse else [learned]:
            self._update(job, indices, scale)
        self._weights.publish()
        return loss

    def _backward(self, job: JobInProgress, part: int) -> float:
        """Add the gradients of micro-batch `part`. Returns its share of the loss."""
        packed, where = lay_out([job], part, self._pad).on(self._masters[0].device, self._masters[0].dtype)
        states = self._reader.hidden(packed, None)[where.positions]
        total, _ = cross_entropy(states, self._reader.head, where.labels, where.shares)
        total.backward()
        return float(total.detach())

    def _clip(self, indices: list[int], most: float) -> torch.Tensor:
        """The factor, a scalar, that limits the common norm of these weights' gradients to `most`."""
        gradients = [self._gradient(index) for index in indices]
        exact = self._masters[0].dtype
        norms = torch.stack([torch.linalg.vector_norm(gradient, dtype=exact) for gradient in gradients])
        scale: torch.Tensor = (most / (torch.linalg.vector_norm(norms) + 1e-6)).clamp(max=1.0)
        return scale

    def _gradient(self, index: int) -> torch.Tensor:
        gradient = self._weights.used[index].grad
        assert gradient is not None
        return gradient

    def _update(self, job: JobInProgress, indices: list[int], scale: torch.Tensor) -> None:
        """An optimizer step on some of the weights."""
        gradients = [self._gradient(index) for index in indices]
        if self._buffer is not None:
            gradients = [self._buffer[: each.numel()].view_as(each).copy_(each) for each in gradients]
        for gradient in gradients:
            gradient *= scale
        self._state.step(indices, gradients, job.job.recipe, job.learning_rate)
