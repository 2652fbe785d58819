"""A job in training: how far it is in its own batches and its own schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from seal_env.inner_loop.optim.registry import find_schedule
from seal_env.inner_loop.optim.schedules import learning_rate
from seal_env.inner_loop.results import TrainingLog
from seal_env.inner_loop.tokens.batches import seeded_batches
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.inner_loop.watch import report_step
from seal_env.types import UpdateJob


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
        taken: Optimizer steps taken so far, whose losses may not all be known.
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
    taken: int = 0
    rows: list[EncodedExample] = field(default_factory=list)

    def take(self) -> int:
        """Count an optimizer step and go on to the next. Returns the tokens that it has read, without padding."""
        tokens = sum(len(row.ids_T) for row in self.rows)
        self.taken += 1
        self.rows = next(self.batches, [])
        return tokens

    def note(self, loss: float, tokens: int) -> None:
        """Record a step that was taken; a loss that is not finite is the last."""
        if self.log.diverged:
            return
        self.log.losses_S.append(loss)
        self.log.tokens += tokens
        self.log.diverged = not math.isfinite(loss)
        report_step(len(self.log.losses_S), self.steps, loss)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next optimizer step."""
        recipe, step = self.job.recipe, self.taken
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
    begun.rows = next(begun.batches, [])
    return begun
