"""The stages of seal-tiny-text on plain sequences: `read`, from random weights, and `again` and `copy` later.

They teach to answer questions about a passage in sight, to write texts about it, and what documents look like. `again` and
`copy` follow stages of `recipes.text_adapt`, because copying a passage's names takes long to learn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from recipes.fast_weights import task_losses
from recipes.stage import Losses, StageStep, TrainSettings
from recipes.step_data import Row, Source, StepData
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


def plain_losses(model: Any, rows: list[Row], pad: int, chunks: int, weight: float = 1.0) -> torch.Tensor:
    """Backward of `weight` times the mean loss of the rows' supervised tokens, in parts of similar length; that mean."""
    device = model.device
    supervised = sum(sum(label >= 0 for label in labels[1:]) for _, labels in rows)
    total, size = torch.zeros((), device=device), -(-len(rows) // chunks)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        ids, labels = to_tensors(part, pad)
        loss = task_losses(model, ids[None], labels[None], None, 0.0)[0]
        share = sum(sum(label >= 0 for label in labels[1:]) for _, labels in part) / supervised
        (loss * (share * weight)).backward()
        total += loss.detach() * share
    return total


def read_source(tokenizer: Any, settings: ReadSettings) -> Source:
    """What each step reads."""
    return lambda number: StepData(plain_rows(tokenizer, settings.stream, number))


def read_step(model: Any, pad: int, settings: ReadSettings) -> StageStep:
    """The steps of the first stage."""

    def step(data: StepData) -> tuple[Losses, int]:
        return {"plain": plain_losses(model, data.plain, pad, settings.optimizer.chunks)}, data.tokens

    return StageStep(step)
