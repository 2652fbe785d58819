"""The stages of seal-tiny-text's training, run one after another; each resumes from its checkpoint.

Stage `read` trains from scratch on plain sequences: to answer questions about a passage in sight, to write texts about it,
and what documents look like. `again` and `copy` do more of it between the stages of `text_adapt`: a passage's names are
copied right only after long. Muon for the matrices inside the layers, AdamW for the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from recipes.fast_weights import task_losses
from recipes.stream import to_tensors
from recipes.text_stream import Row, TextStreamSettings, plain_rows
from recipes.train import TrainSettings, build_optimizers, load_checkpoint, rate_factor, save_checkpoint

Losses = Mapping[str, float]
Step = Callable[[int], tuple[Losses, int]]
"""Backward of all losses of a step, by its number: mean losses by kind, tokens read."""


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


def plain_losses(model: Any, rows: list[Row], pad: int, chunks: int, weight: float = 1.0) -> float:
    """Backward of `weight` times the mean loss of the rows' supervised tokens, in parts of similar length; that mean."""
    device = model.device
    supervised = sum(sum(label >= 0 for label in labels[1:]) for _, labels in rows)
    total, size = torch.zeros((), device=device), -(-len(rows) // chunks)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        ids, labels = (tensor.to(device) for tensor in to_tensors(part, pad))
        loss = task_losses(model, ids[None], labels[None], None, 0.0)[0]
        share = sum(sum(label >= 0 for label in labels[1:]) for _, labels in part) / supervised
        (loss * (share * weight)).backward()
        total += loss.detach() * share
    return float(total)


def read_step(model: Any, tokenizer: Any, settings: ReadSettings) -> Step:
    """The steps of the first stage."""

    def step(number: int) -> tuple[Losses, int]:
        rows = plain_rows(tokenizer, settings.stream, number)
        loss = plain_losses(model, rows, int(tokenizer.pad_token_id), settings.optimizer.chunks)
        return {"plain": loss}, sum(len(ids) for ids, _ in rows)

    return step


def run_stage(
    out: Path, model: Any, tokenizer: Any, step: Step, optimizer: TrainSettings, record: Mapping[str, Any]
) -> None:
    """Run a stage, or go on with it: `out`/checkpoint, `out`/model and `out`/recipe.json, which holds `record`."""
    out.mkdir(parents=True, exist_ok=True)
    optimizers = build_optimizers(model, optimizer)
    progress: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0, "means": {}, "curve": []}
    if (out / "checkpoint.safetensors").exists():
        progress = load_checkpoint(out, model, optimizers)
    began = time.perf_counter() - progress["seconds"]
    for number in range(progress["step"], optimizer.steps):
        for each, rate in zip(optimizers, (optimizer.muon_rate, optimizer.adam_rate), strict=True):
            each.param_groups[0]["lr"] = rate * rate_factor(number, optimizer)
        losses, tokens = step(number)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in optimizers:
            each.step()
            each.zero_grad()
        means = {kind: 0.9 * progress["means"].get(kind, loss) + 0.1 * loss for kind, loss in losses.items()}
        progress |= {"step": number + 1, "tokens": progress["tokens"] + tokens, "means": progress["means"] | means}
        progress["seconds"] = time.perf_counter() - began
        if (number + 1) % 10 == 0:
            shown = " ".join(f"{kind} {mean:.3f}" for kind, mean in progress["means"].items())
            print(
                f"{out.name} {number + 1} {shown} {progress['tokens'] / 1e6:.2f} M {progress['seconds']:.0f} s", flush=True
            )
        if (number + 1) % optimizer.checkpoint_every == 0 or number + 1 == optimizer.steps:
            progress["curve"].append([number + 1, {kind: round(mean, 4) for kind, mean in progress["means"].items()}])
            save_checkpoint(out, model, optimizers, progress)
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    (out / "recipe.json").write_text(json.dumps({"settings": record, **progress}, indent=1))
