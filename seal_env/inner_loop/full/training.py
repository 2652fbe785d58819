"""Full fine-tuning of one job at a time by packed passes: no padding, all rows of a micro-batch in one."""

from __future__ import annotations

import time

import torch

from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.progress import JobInProgress, lay_out
from seal_env.inner_loop.full.weights import FullWeights
from seal_env.inner_loop.model.memory import in_halves
from seal_env.inner_loop.optim.adamw import adamw_step


class FullTraining:
    """One job's update of all weights. reader: of the model that has them. Raises what shows that memory ran out.

    Where the model is in fp32, AdamW works on all weights in one call. Where it is in less, gradients are in the model's
    dtype and become fp32 one weight at a time, in a place set aside for that.
    """

    def __init__(self, weights: FullWeights, reader: PackedReader, pad: int) -> None:
        self._weights, self._reader, self._pad = weights, reader, pad
        masters = [master.detach() for master in weights.masters]
        self._masters = masters
        self._moments = [torch.zeros_like(master) for master in masters], [torch.zeros_like(master) for master in masters]
        self._steps = [torch.zeros((), device=master.device) for master in masters]
        largest = max(master.numel() for master in masters)
        self._place = masters[0].new_empty(largest) if weights.coarse else None
        self._fits = True

    def run(self, job: JobInProgress) -> bool:
        """All optimizer steps, or up to the first loss that is not finite; False if memory ran out with a single example.

        Weights that are not finite at the end count as divergence too.
        """
        began = time.perf_counter()
        while job.rows and self._fits and not job.log.diverged:
            in_halves([job], lambda _: job.note(self._step(job)), self._shrink)
        job.log.diverged = job.log.diverged or not self._weights.finite
        job.seconds += time.perf_counter() - began
        return self._fits

    def _shrink(self, job: JobInProgress) -> None:
        self._fits = job.micro_batch > 1
        job.micro_batch = max(1, job.micro_batch // 2)

    def _step(self, job: JobInProgress) -> float:
        """One optimizer step; its mean loss. If memory runs out, it raises before any weight moves."""
        for weight in self._weights.used:
            weight.grad = None
        loss = sum(self._backward(job, part) for part in range(job.parts))
        learnt = [place for place, weight in enumerate(self._weights.used) if weight.grad is not None]
        scale = self._clip(learnt, job.job.recipe.max_grad_norm)
        for places in [[place] for place in learnt] if self._weights.coarse else [learnt]:
            self._update(job, places, scale)
        self._weights.publish()
        return loss

    def _backward(self, job: JobInProgress, part: int) -> float:
        """Add the gradients of micro-batch `part`; its share of the loss."""
        packed, where = lay_out([job], part, self._pad, self._masters[0].device, self._masters[0].dtype)
        states = self._reader.hidden(packed, None)[where.positions]
        total, _ = cross_entropy(states, self._reader.head, where.labels, where.shares)
        total.backward()
        return float(total.detach())

    def _clip(self, places: list[int], most: float) -> torch.Tensor:
        """What the gradients at `places` are to be multiplied by, a scalar, for their common norm to be `most` at most."""
        gradients = [self._gradient(place) for place in places]
        exact = self._masters[0].dtype
        norms = torch.stack([torch.linalg.vector_norm(gradient, dtype=exact) for gradient in gradients])
        scale: torch.Tensor = (most / (torch.linalg.vector_norm(norms) + 1e-6)).clamp(max=1.0)
        return scale

    def _gradient(self, place: int) -> torch.Tensor:
        gradient = self._weights.used[place].grad
        assert gradient is not None
        return gradient

    def _update(self, job: JobInProgress, places: list[int], scale: torch.Tensor) -> None:
        """A step of AdamW on the weights at `places`."""
        gradients = [self._gradient(place) for place in places]
        if self._place is not None:
            gradients = [self._place[: each.numel()].view_as(each).copy_(each) for each in gradients]
        for gradient in gradients:
            gradient *= scale
        masters, first, second, steps = (
            [tensors[place] for place in places] for tensors in (self._masters, *self._moments, self._steps)
        )
        adamw_step(masters, gradients, (first, second), steps, job.job.recipe, job.learning_rate)
