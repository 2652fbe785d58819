"""Stage `pretrain` of seal-tiny: plain sequences of demonstrations, from random weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from recipes.fast_weights import hidden_states
from recipes.precision import half_precision
from recipes.stage import Losses, StageStep, TrainSettings, pinned
from recipes.step_data import IGNORED, Row, Source, StepData, supervised
from recipes.stream import StreamSettings, batch_rows, to_tensors


@dataclass(frozen=True)
class PretrainSettings:
    """The stage."""

    optimizer: TrainSettings = field(default_factory=TrainSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)


@dataclass(frozen=True)
class Chunk:
    """Rows of similar length: ids [rows, longest], where in them loss falls, [targets], and on what."""

    ids: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class PreparedRows:
    """A batch in the chunks that are computed one by one, in host memory."""

    chunks: list[Chunk]
    supervised: int
    tokens: int


def pretrain_source(tokenizer: Any, settings: PretrainSettings) -> Source:
    """What each step reads."""
    return lambda number: StepData(batch_rows(tokenizer, settings.stream, number))


def pretrain_step(model: Any, pad: int, settings: PretrainSettings) -> StageStep:
    """The steps of the stage."""

    def prepare(data: StepData) -> PreparedRows:
        return prepare_rows(data.plain, pad, settings.optimizer.chunks)

    def step(prepared: PreparedRows) -> tuple[Losses, int]:
        return {"plain": train_step(model, prepared)}, prepared.tokens

    return StageStep(step, prepare)


def prepare_rows(rows: list[Row], pad: int, chunks: int) -> PreparedRows:
    """The rows, shortest first, in `chunks` parts."""
    found, size = [], -(-len(rows) // chunks)
    for start in range(0, len(rows), size):
        ids, labels = to_tensors(rows[start : start + size], pad)
        row, position = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
        places = row * ids.shape[1] + position
        found.append(Chunk(*(pinned(tensor) for tensor in (ids, places, labels[row, position + 1]))))
    return PreparedRows(found, supervised(rows), sum(len(ids) for ids, _ in rows))


def train_step(model: Any, prepared: PreparedRows) -> torch.Tensor:
    """Backward over one batch; mean loss of its supervised tokens."""
    device = model.device
    total = torch.zeros((), device=device)
    for chunk in prepared.chunks:
        ids, places, targets = (tensor.to(device, non_blocking=True) for tensor in (chunk.ids, chunk.places, chunk.targets))
        with half_precision(device):
            hidden = hidden_states(model, ids, None, 0.0).flatten(0, 1)
            logits = functional.linear(hidden.index_select(0, places), model.model.embed_tokens.weight).float()
        loss = functional.cross_entropy(logits, targets, reduction="sum") / prepared.supervised
        loss.backward()
        total += loss.detach()
    return total
