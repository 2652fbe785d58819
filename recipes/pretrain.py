"""Stage `pretrain` of seal-tiny: plain sequences of demonstrations, from random weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from recipes.stage import Step, TrainSettings
from recipes.stream import IGNORED, StreamSettings, batch_rows, to_tensors


@dataclass(frozen=True)
class PretrainSettings:
    """The stage."""

    optimizer: TrainSettings = field(default_factory=TrainSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)


def pretrain_step(model: Any, tokenizer: Any, settings: PretrainSettings) -> Step:
    """The steps of the stage."""

    def step(number: int) -> tuple[dict[str, float], int]:
        rows = batch_rows(tokenizer, settings.stream, number)
        return {"plain": train_step(model, rows, int(tokenizer.pad_token_id), settings.optimizer.chunks)}, _size(rows)

    return step


def _size(rows: list[tuple[list[int], list[int]]]) -> int:
    return sum(len(ids) for ids, _ in rows)


def train_step(model: Any, rows: list[tuple[list[int], list[int]]], pad: int, chunks: int) -> float:
    """Backward over one batch in `chunks` parts; mean loss of its supervised tokens."""
    device = model.device.type
    supervised = sum(sum(label != IGNORED for label in labels[1:]) for _, labels in rows)
    total, size = torch.zeros((), device=device), -(-len(rows) // chunks)
    for start in range(0, len(rows), size):
        ids, labels = (tensor.to(device) for tensor in to_tensors(rows[start : start + size], pad))
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
            kept = labels[:, 1:] != IGNORED
            logits = model.lm_head(hidden[kept]).float()
        loss = functional.cross_entropy(logits, labels[:, 1:][kept], reduction="sum") / supervised
        loss.backward()
        total += loss.detach()
    return float(total)
