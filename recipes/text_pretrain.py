"""The stages of seal-tiny-text on plain sequences: `read`, from random weights, and `again` and `copy` later.

They teach to answer questions about a passage in sight, to write texts about it, and what documents look like. `again` and
`copy` follow stages of `recipes.text_adapt`, because copying a passage's names takes long to learn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from recipes.fast_weights import task_losses
from recipes.stage import Losses, StageStep, TrainSettings
from recipes.step_data import Row, Source, StepData, supervised
from recipes.stream import to_tensors
from recipes.text_stream import TextStreamSettings, plain_rows


@dataclass(frozen=True)
class ReadSettings:
    """The first stage."""

    optimizer: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            steps=1500, warmup=40, decay_share=0.1, muon_rate=5e-3, adam_rate=3e-3, layers=4, chunks=3, checkpoint_every=50
        )
    )
    stream: TextStreamSettings = field(default_factory=TextStreamSettings)


AGAIN = ReadSettings(
    TrainSettings(steps=900, warmup=20, decay_share=0.0, muon_rate=4e-3, adam_rate=2e-3, layers=4, checkpoint_every=50),
    TextStreamSettings(reading=6, replies=5, documents=2, copies=6, lists=16, as_asked=True, seed=4),
)
COPY = ReadSettings(
    replace(AGAIN.optimizer, steps=1000, decay_share=0.3),
    TextStreamSettings(reading=5, replies=8, documents=1, copies=6, lists=8, as_asked=True, seed=6),
)


class PlainPart(NamedTuple):
    """Rows of similar length, in host memory: ids and labels [rows, longest], and their share of the supervised tokens."""

    ids: torch.Tensor
    labels: torch.Tensor
    share: float


def plain_parts(rows: list[Row], pad: int, chunks: int) -> list[PlainPart]:
    """Rows, shortest first, in parts."""
    size, whole = -(-len(rows) // chunks), supervised(rows)
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [PlainPart(*to_tensors(part, pad), supervised(part) / whole) for part in parts]


def plain_losses(model: Any, parts: list[PlainPart], weight: float = 1.0) -> torch.Tensor:
    """Backward of `weight` times the mean loss of the supervised tokens; that mean."""
    total = torch.zeros((), device=model.device)
    for part in parts:
        loss = task_losses(model, part.ids[None], part.labels[None], None, 0.0)[0]
        (loss * (part.share * weight)).backward()
        total += loss.detach() * part.share
    return total


def read_source(tokenizer: Any, settings: ReadSettings) -> Source:
    """What each step reads."""
    return lambda number: StepData(plain_rows(tokenizer, settings.stream, number))


def read_step(model: Any, pad: int, settings: ReadSettings) -> StageStep:
    """The steps of the first stage."""

    def prepare(data: StepData) -> tuple[list[PlainPart], int]:
        return plain_parts(data.plain, pad, settings.optimizer.chunks), data.tokens

    def step(prepared: tuple[list[PlainPart], int]) -> tuple[Losses, int]:
        parts, tokens = prepared
        return {"plain": plain_losses(model, parts)}, tokens

    return StageStep(step, prepare, stateless=True)
