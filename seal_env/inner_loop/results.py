"""The results of update jobs, as every inner loop reports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seal_env.types import Answer, Outcome, UpdateResult

ONE_EXAMPLE = "memory ran out with one example at a time"


@dataclass
class TrainingLog:
    """What happened in training.

    Attributes:
        losses_S: Mean loss of each optimizer step's supervised tokens.
        tokens: Tokens read.
        diverged: True if a loss or a weight was not finite.
    """

    losses_S: list[float] = field(default_factory=list)
    tokens: int = 0
    diverged: bool = False


def update_result(
    log: TrainingLog,
    micro_batch: int,
    answers_Q: tuple[Answer, ...],
    timings: Mapping[str, float],
    adapter: Path | None = None,
) -> UpdateResult:
    """The result of an update that trained: the answers, or DIVERGED."""
    steps = len(log.losses_S)
    reason = f"the loss or a weight was not finite after optimizer step {steps}; use a lower learning_rate"
    return UpdateResult(
        Outcome.DIVERGED if log.diverged else Outcome.OK,
        reason if log.diverged else "",
        answers_Q,
        losses_S=tuple(round(loss, 6) for loss in log.losses_S),
        tokens_trained=log.tokens,
        micro_batch=micro_batch,
        timings=timings,
        adapter=adapter,
    )


def base_result(answers_Q: tuple[Answer, ...], seconds: float, adapter: Path | None = None) -> UpdateResult:
    """The result of a job without an update. seconds: spent on its queries."""
    timings = {"train_seconds": 0.0, "evaluate_seconds": seconds}
    return UpdateResult(Outcome.OK, "", answers_Q, timings=timings, adapter=adapter)


def out_of_memory(reason: str = ONE_EXAMPLE, micro_batch: int = 0) -> UpdateResult:
    """The result of a job for which memory ran out."""
    return UpdateResult(Outcome.OUT_OF_MEMORY, reason, (), micro_batch=micro_batch)


def device_failure(error: BaseException) -> UpdateResult:
    """The result of a job during which the device failed."""
    return UpdateResult(Outcome.ENGINE_ERROR, f"the device failed: {str(error).splitlines()[0]}", ())
