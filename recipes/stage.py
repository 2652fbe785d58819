"""Stages of training: each starts from the model of the one before, can be killed at any moment, and resumes.

Muon for the matrices inside the layers, AdamW for the rest; constant rate after warm-up, linear decay at the end. The same
code on CPU (fp32) and GPU. A stage's folder holds `checkpoint.safetensors`, replaced atomically, and at the end `model` and
`recipe.json` (settings, tokens, seconds and losses).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

Losses = Mapping[str, float]
Step = Callable[[int], tuple[Losses, int]]
"""Number of a step -> backward of all its losses; mean losses by kind (NaN where there are none), and tokens read."""

MAX_POSITIONS = 8192


@dataclass(frozen=True)
class TrainSettings:
    """Steps and rates of a stage, and the shape of a model that starts from random weights.

    Attributes:
        chunks: Parts of similar length into which a batch is split, to save padding.
    """

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


def run_stage(
    out: Path, model: Any, tokenizer: Any, step: Step, optimizer: TrainSettings, record: Mapping[str, Any]
) -> None:
    """Run or resume one stage.

    Args:
        out: The stage's folder.
        model: Trained in place.
        tokenizer: Saved beside it.
        step: What a step does before the optimizers do theirs.
        optimizer: Number of steps, and their rates.
        record: Settings, for `recipe.json`.
    """
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
        means = progress["means"]
        means |= {kind: 0.9 * means.get(kind, loss) + 0.1 * loss for kind, loss in losses.items() if not math.isnan(loss)}
        progress |= {"step": number + 1, "tokens": progress["tokens"] + tokens, "seconds": time.perf_counter() - began}
        if (number + 1) % 10 == 0:
            shown = " ".join(f"{kind} {mean:.3f}" for kind, mean in means.items())
            read = f"{progress['tokens'] / 1e6:.2f} M tokens"
            print(f"{out.name} {number + 1} {shown} {read} {progress['seconds']:.0f} s", flush=True)
        if (number + 1) % optimizer.checkpoint_every == 0 or number + 1 == optimizer.steps:
            progress["curve"].append([number + 1, {kind: round(mean, 4) for kind, mean in means.items()}])
            save_checkpoint(out, model, optimizers, progress)
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    (out / "recipe.json").write_text(json.dumps({"settings": record, **progress}, indent=1))


def run_stages(
    out: Path, name: str, tokenizer: Any, stages: Mapping[str, Any], make_step: Callable[[Any, Any], Step], device: str
) -> None:
    """Run or resume all stages; ends with `out`/`name` (model and tokenizer) and `out`/recipe.json.

    Args:
        out: Holds a folder for each stage.
        name: Of the model.
        tokenizer: Of the model.
        stages: Settings by name of the stage; their field `optimizer` is a TrainSettings.
        make_step: (model, settings) -> the stage's steps.
        device: "cpu" or "cuda".
    """
    model: Any = None
    recipe: dict[str, Any] = {}
    for stage, settings in stages.items():
        folder = out / stage
        if not (folder / "recipe.json").exists():
            if not recipe:
                model = build_model(tokenizer, settings.optimizer)
            elif model is None:
                model = AutoModelForCausalLM.from_pretrained(out / list(recipe)[-1] / "model", trust_remote_code=False)
            model.to(device)
            run_stage(folder, model, tokenizer, make_step(model, settings), settings.optimizer, asdict(settings))
        recipe[stage] = json.loads((folder / "recipe.json").read_text())
    shutil.copytree(out / list(stages)[-1] / "model", out / name, dirs_exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(recipe, indent=1))


def parse_arguments(description: str | None, stages: Mapping[str, Any]) -> tuple[Path, dict[str, Any], str]:
    """Command line of a recipe: its folder, the stages to run, the device."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, loss curves and the model")
    parser.add_argument("--until", choices=stages, default=list(stages)[-1], help="the last stage to run")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    chosen = list(stages)[: list(stages).index(given.until) + 1]
    return given.out, {name: stages[name] for name in chosen}, "cuda" if torch.cuda.is_available() else "cpu"
