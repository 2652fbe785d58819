"""A job in training: how far it is in its own batches and its own schedule, and what the model reads for it next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from seal_env.inner_loop.batched.packing import Packed, Piece, pack
from seal_env.inner_loop.optim.registry import find_schedule
from seal_env.inner_loop.optim.schedules import learning_rate
from seal_env.inner_loop.results import TrainingLog
from seal_env.inner_loop.tokens.batches import seeded_batches
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import Strategy, UpdateJob


@dataclass
class JobInProgress:
    """A job in training.

    Attributes:
        job: The job.
        slot: The slot of its adapter.
        batches: The batches that are left.
        steps: Optimizer steps in total.
        padded_to: The paper profile's common length; None without padding.
        micro_batch: Limit on the rows of a pass.
        log: What happened so far.
        seconds: Time spent so far.
        rows: The examples of the next optimizer step; empty after the last.
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
        """The learning rate of the next optimizer step."""
        recipe, step = self.job.recipe, len(self.log.losses_S)
        peak = self.job.training.learning_rate
        return learning_rate(find_schedule(recipe.schedule), peak, step, recipe.warmup_steps, self.steps)

    @property
    def tokens(self) -> int:
        """Tokens of the next optimizer step, including padding that carries loss."""
        return sum(self.padded_to or len(row.ids_T) for row in self.rows)

    @property
    def parts(self) -> int:
        """Micro-batches of the next optimizer step."""
        return math.ceil(len(self.rows) / self.micro_batch)

    def note(self, loss: float) -> None:
        """Record an optimizer step with this loss and advance, unless the loss is not finite."""
        self.log.losses_S.append(loss)
        self.log.tokens += sum(len(row.ids_T) for row in self.rows)
        self.log.diverged = not math.isfinite(loss)
        if not self.log.diverged:
            self.advance()


def steps_of(job: UpdateJob) -> int:
    """Optimizer steps of a job."""
    return job.training.num_train_epochs * math.ceil(len(job.examples_E) / job.recipe.batch_size)


def begin_job(job: UpdateJob, slot: int, examples_E: Sequence[EncodedExample]) -> JobInProgress:
    """A job with at least one optimizer step, before the first of them."""
    recipe, epochs = job.recipe, job.training.num_train_epochs
    begun = JobInProgress(
        job,
        slot,
        seeded_batches(examples_E, epochs, job.seed, recipe.batch_size),
        steps_of(job),
        max(len(example.ids_T) for example in examples_E) if recipe.pad_loss else None,
        recipe.batch_size,
    )
    begun.advance()
    return begun


@dataclass(frozen=True)
class Supervised:
    """Where the loss is: positions [N] that predict labels [N], the share [N] of each in its job's mean, its job [N]."""

    positions: torch.Tensor
    labels: torch.Tensor
    shares: torch.Tensor
    jobs: torch.Tensor


def lay_out(
    jobs: Sequence[JobInProgress], part: int, pad: int, device: torch.device, dtype: torch.dtype
) -> tuple[Packed, Supervised]:
    """Micro-batch `part` of each job's next optimizer step, packed. dtype: of the shares."""
    pieces: list[Piece] = []
    positions: list[int] = []
    labels: list[int] = []
    shares: list[float] = []
    owners: list[int] = []
    offset = 0
    for index, job in enumerate(jobs):
        strategy, length = job.job.training.strategy, job.padded_to
        share = 1 / max(1, sum(_supervised(row, strategy, length) for row in job.rows))
        for row in job.rows[part * job.micro_batch : (part + 1) * job.micro_batch]:
            ids = [*row.ids_T, *[pad] * ((length or 0) - len(row.ids_T))]
            learned = [*row.supervised(strategy), *[True] * (len(ids) - len(row.ids_T))]
            at = [position for position, supervised in enumerate(learned) if supervised]
            positions.extend(offset + position - 1 for position in at)
            labels.extend(ids[position] for position in at)
            shares.extend([share] * len(at))
            owners.extend([index] * len(at))
            pieces.append(Piece(ids, len(row.ids_T), job.slot))
            offset += len(ids)
    where, targets, jobs_N = (torch.tensor(each, dtype=torch.long, device=device) for each in (positions, labels, owners))
    return pack(pieces, device), Supervised(where, targets, torch.tensor(shares, device=device, dtype=dtype), jobs_N)


def _supervised(row: EncodedExample, strategy: Strategy, length: int | None) -> int:
    return sum(row.supervised(strategy)) + max(0, (length or 0) - len(row.ids_T))
