"""Many weight updates in progress: each job has a slot with an adapter, an optimizer and its place in its own schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.optim.adamw import adamw

from seal_env.inner_loop.encoding import EncodedExample
from seal_env.inner_loop.frozen_head import cross_entropy
from seal_env.inner_loop.lora_stack import LoraStack
from seal_env.inner_loop.packed_model import PackedModel
from seal_env.inner_loop.packing import Piece, pack
from seal_env.inner_loop.trainer import TrainingLog, seeded_batches
from seal_env.types import Strategy, UpdateJob


@dataclass
class JobInProgress:
    """A job that trains. steps: optimizer steps in all. rows: the examples of the next one.

    padded_to: the paper profile's common length. micro_batch: rows of a pass at most.
    """

    job: UpdateJob
    slot: int
    batches: Iterator[list[EncodedExample]]
    steps: int
    padded_to: int | None
    micro_batch: int
    log: TrainingLog = field(default_factory=TrainingLog)
    seconds: float = 0.0
    rows: list[EncodedExample] = field(default_factory=list)

    def advance(self) -> bool:
        """Take the next optimizer step's examples; False if there are none left."""
        self.rows = next(self.batches, [])
        return bool(self.rows)

    @property
    def learning_rate(self) -> float:
        """Rate of the next optimizer step: up linearly, then down as a cosine, as transformers' schedule has it."""
        step, warmup, peak = len(self.log.losses_S), self.job.recipe.warmup_steps, self.job.training.learning_rate
        if step < warmup:
            return peak * step / max(1, warmup)
        progress = (step - warmup) / max(1, self.steps - warmup)
        return peak * max(0.0, 0.5 * (1 + math.cos(math.pi * progress)))

    @property
    def tokens(self) -> int:
        """Tokens of the next optimizer step, padding that is trained on included."""
        return sum(self.padded_to or len(row.ids_T) for row in self.rows)


@dataclass(frozen=True)
class Supervised:
    """Where the loss is: positions [N] that predict labels [N], the share [N] of each in its job's mean, its job [N]."""

    positions: list[int]
    labels: list[int]
    shares: list[float]
    jobs: list[int]


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
        recipe, epochs = job.recipe, job.training.num_train_epochs
        begun = JobInProgress(
            job,
            slot,
            seeded_batches(examples_E, epochs, job.seed, recipe.batch_size),
            epochs * math.ceil(len(examples_E) / recipe.batch_size),
            max(len(example.ids_T) for example in examples_E) if recipe.pad_loss else None,
            recipe.batch_size,
        )
        begun.advance()
        return begun

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
        adamw(
            [weights],
            [gradient],
            [self._moments[0][slot]],
            [self._moments[1][slot]],
            [],
            [self._steps[slot]],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=job.learning_rate,
            weight_decay=recipe.weight_decay,
            eps=recipe.adam_eps,
            maximize=False,
        )
        self.stack.publish(slot)

    def _gradients(self, jobs: Sequence[JobInProgress]) -> torch.Tensor:
        assert self.stack.gradients is not None
        for job in jobs:
            self.stack.gradients[job.slot] = 0
        most = max(math.ceil(len(job.rows) / job.micro_batch) for job in jobs)
        total = torch.zeros(len(jobs), dtype=self.stack.weights.dtype, device=self.stack.weights.device)
        for part in range(most):
            total += self._backward(jobs, part)
        return total

    def _backward(self, jobs: Sequence[JobInProgress], part: int) -> torch.Tensor:
        """Add the gradients of each job's micro-batch `part`; its share of each job's loss, [jobs]."""
        pieces: list[Piece] = []
        where = Supervised([], [], [], [])
        offset = 0
        for index, job in enumerate(jobs):
            strategy, length = job.job.training.strategy, job.padded_to
            share = 1 / max(1, sum(_supervised(row, strategy, length) for row in job.rows))
            for row in job.rows[part * job.micro_batch : (part + 1) * job.micro_batch]:
                ids = [*row.ids_T, *[self.pad] * ((length or 0) - len(row.ids_T))]
                learned = [*row.supervised(strategy), *[True] * (len(ids) - len(row.ids_T))]
                at = [position for position, kept in enumerate(learned) if kept]
                where.positions.extend(offset + position - 1 for position in at)
                where.labels.extend(ids[position] for position in at)
                where.shares.extend([share] * len(at))
                where.jobs.extend([index] * len(at))
                pieces.append(Piece(ids, len(row.ids_T), job.slot))
                offset += len(ids)
        device, dtype = self.stack.weights.device, self.stack.weights.dtype
        owners = torch.tensor(where.jobs, device=device)
        states = self.model.hidden(pack(pieces, device), self.stack)[torch.tensor(where.positions, device=device)]
        labels, shares = torch.tensor(where.labels, device=device), torch.tensor(where.shares, device=device, dtype=dtype)
        losses = cross_entropy(states, self.model.head, labels, shares)
        losses.sum().backward()
        return torch.zeros(len(jobs), dtype=dtype, device=device).index_add(0, owners, losses.detach().to(dtype))


def _supervised(row: EncodedExample, strategy: Strategy, length: int | None) -> int:
    return sum(row.supervised(strategy)) + max(0, (length or 0) - len(row.ids_T))
