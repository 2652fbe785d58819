"""Train the bundled model from scratch: `python -m recipes.train --out DIR`. Resumes from DIR's checkpoint.

Muon for the matrices inside the layers, AdamW for the rest; constant rate after warm-up, linear decay at the end. The same
code on CPU (fp32) and GPU (bf16 autocast). State is safetensors and JSON, written atomically, so a run can be killed at any
moment.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from recipes.stream import IGNORED, StreamSettings, batch_rows, to_tensors
from recipes.tokenizer import build_tokenizer

MAX_POSITIONS = 8192


@dataclass(frozen=True)
class TrainSettings:
    """The recipe. chunks: how many similar-length parts a batch is split into, to save padding."""

    steps: int = 3600
    warmup: int = 100
    decay_share: float = 0.25
    muon_rate: float = 5e-3
    adam_rate: float = 3e-3
    width: int = 128
    layers: int = 6
    heads: int = 4
    inner_width: int = 384
    chunks: int = 4
    checkpoint_every: int = 100


def build_model(tokenizer: Any, settings: TrainSettings) -> LlamaForCausalLM:
    """A Llama with random weights (seed 0)."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.width,
            intermediate_size=settings.inner_width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def rate_factor(step: int, settings: TrainSettings) -> float:
    """Warm-up, constant, linear decay to 0: the factor on both rates at `step`."""
    decay_from = settings.steps * (1 - settings.decay_share)
    decay = (settings.steps - step) / (settings.steps - decay_from) if step > decay_from else 1.0
    return min((step + 1) / settings.warmup, 1.0) * max(decay, 0.0)


def build_optimizers(model: LlamaForCausalLM, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    inner = [p for name, p in model.named_parameters() if "layers" in name and p.ndim == 2]
    chosen = {id(p) for p in inner}
    outer = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(inner, lr=settings.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(outer, lr=settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)]


def train_step(model: Any, rows: list[tuple[list[int], list[int]]], pad: int, chunks: int, device: str) -> tuple[float, int]:
    """Backward over one batch in `chunks` parts; (mean loss of supervised tokens, tokens read)."""
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
    return float(total), sum(len(ids) for ids, _ in rows)


def save_checkpoint(
    out: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], progress: dict[str, Any]
) -> None:
    """Weights, moments and progress, in one safetensors file, replaced atomically."""
    tensors = {f"model/{name}": value.contiguous() for name, value in model.named_parameters()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    save_file(tensors, out / "checkpoint.tmp", metadata={"progress": json.dumps(progress)})
    os.replace(out / "checkpoint.tmp", out / "checkpoint.safetensors")


def load_checkpoint(out: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    """The reverse of `save_checkpoint`, in place; the progress made."""
    tensors = load_file(out / "checkpoint.safetensors")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model/{name}"])
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimizer/{number}/"):
                _, _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(out / "checkpoint.safetensors", "pt") as stored:
        progress: dict[str, Any] = json.loads(stored.metadata()["progress"])
    return progress


def train(out: Path, settings: TrainSettings, stream: StreamSettings, device: str, compiled: bool = False) -> None:
    """Train, or go on training, and save the model to `out`/model. compiled: torch.compile, 1.28 times as fast on a CPU."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer: Any = build_tokenizer(MAX_POSITIONS)
    model: Any = build_model(tokenizer, settings)
    model.to(device)
    if compiled:
        model.model.compile(dynamic=True)
    optimizers = build_optimizers(model, settings)
    progress: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0, "curve": []}
    if (out / "checkpoint.safetensors").exists():
        progress = load_checkpoint(out, model, optimizers)
    rates = [settings.muon_rate, settings.adam_rate]
    mean_loss, began = 0.0, time.perf_counter() - progress["seconds"]
    for step in range(progress["step"], settings.steps):
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * rate_factor(step, settings)
        rows = batch_rows(tokenizer, stream, step)
        loss, tokens = train_step(model, rows, int(tokenizer.pad_token_id), settings.chunks, device)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        mean_loss = loss if step == 0 else 0.95 * mean_loss + 0.05 * loss if mean_loss else loss
        progress |= {"step": step + 1, "tokens": progress["tokens"] + tokens, "seconds": time.perf_counter() - began}
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            progress["curve"].append([step + 1, progress["tokens"], round(mean_loss, 4)])
            save_checkpoint(out, model, optimizers, progress)
            print(
                f"step {step + 1} loss {mean_loss:.4f} tokens {progress['tokens'] / 1e6:.2f} M {progress['seconds']:.0f} s",
                flush=True,
            )
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    recipe = {"train": asdict(settings), "stream": asdict(stream), **progress}
    (out / "recipe.json").write_text(json.dumps(recipe, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, loss curve and model")
    parser.add_argument("--steps", type=int, default=TrainSettings.steps)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    parser.add_argument("--checkpoint-every", type=int, default=TrainSettings.checkpoint_every)
    parser.add_argument("--compile", action="store_true", help="torch.compile the layers (needs a C++ compiler)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = TrainSettings(steps=arguments.steps, checkpoint_every=arguments.checkpoint_every)
    train(arguments.out, settings, StreamSettings(), "cuda" if torch.cuda.is_available() else "cpu", arguments.compile)


if __name__ == "__main__":
    main()
