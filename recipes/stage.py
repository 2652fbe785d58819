"""Stages of training: each starts from the model of the one before, can be killed at any moment, and resumes.

Muon for the matrices inside the layers, AdamW for the rest; constant rate after warm-up, linear decay at the end. The same
code on a CPU (fp32) and a GPU (bf16, where a thread makes the next steps' data). A stage's folder holds
`checkpoint.safetensors`, replaced atomically, and at the end `model` and `recipe.json` (settings, tokens, seconds and
losses).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from recipes.cpus import cpus
from recipes.data_folder import FolderSource
from recipes.grow import widened
from recipes.prefetch import as_it_is, prefetched
from recipes.step_data import Source, StepData

Losses = Mapping[str, float | torch.Tensor]
"""Mean losses by kind, NaN where there are none; tensors may still be computing."""

MAX_POSITIONS = 8192
SHOWN_EVERY = 10
"""Steps after which losses are read from the device and printed."""


class OutOfTimeError(Exception):
    """The time given is over; a checkpoint has been written, and the same command resumes."""


@dataclass(frozen=True)
class StageStep:
    """A stage's steps.

    Attributes:
        compute: Backward of all losses of a prepared step; mean losses by kind, and tokens read.
        prepare: What a step reads, as `compute` takes it. May run ahead in a thread, for one step after another.
        stateless: Whether `prepare` depends on nothing but its argument and uses no GPU: then it may run in any process.
    """

    compute: Callable[[Any], tuple[Losses, int]]
    prepare: Callable[[StepData], Any] = as_it_is
    stateless: bool = False


@dataclass(frozen=True)
class TrainSettings:
    """Steps and rates of a stage, and the shape of a model that starts from random weights.

    Attributes:
        chunks: Parts of similar length into which a batch is split, to save padding.
        data_steps: Steps after which the data come again from the first on; 0 is never.
        time_share: Of the time given for all stages, if a time is given. The rates then follow the time used or the steps
            made, whichever is further, and the stage ends with its time.
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
    data_steps: int = 0
    time_share: float = 1.0

    def data_of(self, number: int) -> int:
        """The step whose data step `number` reads."""
        return number % self.data_steps if self.data_steps else number


@dataclass(frozen=True)
class Time:
    """Seconds, if limited: of all stages together, and when this process has to end (as `time.monotonic` counts)."""

    training: float = math.inf
    ends: float = math.inf


def pinned(tensor: torch.Tensor) -> torch.Tensor:
    """In memory from which a GPU copies while it computes, where there is a GPU."""
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


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


def rate_factor(step: int, settings: TrainSettings, time_used: float = 0.0) -> float:
    """Warm-up, constant, linear decay to 0: the factor on both rates at `step`. time_used: the share of the stage's time."""
    done = min(max(step, time_used * settings.steps), settings.steps)
    decay_from = settings.steps * (1 - settings.decay_share)
    decay = (settings.steps - done) / (settings.steps - decay_from) if done > decay_from else 1.0
    return min((step + 1) / settings.warmup, 1.0) * decay


def build_optimizers(model: LlamaForCausalLM, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    inner = [p for name, p in model.named_parameters() if "layers" in name and p.ndim == 2]
    chosen = {id(p) for p in inner}
    outer = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(inner, lr=settings.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    fused = model.device.type == "cuda"
    return [muon, torch.optim.AdamW(outer, lr=settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)]


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


class Progress:
    """How far a stage has come: what its checkpoints and its `recipe.json` record."""

    def __init__(self, name: str, record: dict[str, Any] | None = None) -> None:
        self.name = name
        self.record = record or {"step": 0, "tokens": 0, "seconds": 0.0, "means": {}, "curve": []}
        self._began = time.perf_counter() - float(self.record["seconds"])
        self._unread: list[Losses] = []

    @property
    def seconds(self) -> float:
        """Spent on the stage, in all processes."""
        return time.perf_counter() - self._began

    def add(self, losses: Losses, tokens: int) -> None:
        """A step has been made."""
        self._unread.append(losses)
        self.record |= {"step": self.record["step"] + 1, "tokens": self.record["tokens"] + tokens}

    def read(self) -> None:
        """Bring means and seconds up to date; waits for the device."""
        means = self.record["means"]
        for losses in self._unread:
            found = {kind: float(loss) for kind, loss in losses.items()}
            means |= {kind: 0.9 * means.get(kind, loss) + 0.1 * loss for kind, loss in found.items() if not math.isnan(loss)}
        self._unread.clear()
        self.record["seconds"] = self.seconds

    def show(self, steps: int) -> None:
        """Print a line. steps: of the stage."""
        shown = " ".join(f"{kind} {mean:.3f}" for kind, mean in self.record["means"].items())
        tokens, seconds = self.record["tokens"], self.record["seconds"]
        pace = f"{tokens / 1e6:.2f} M tokens {seconds:.0f} s {tokens / max(seconds, 1e-9):,.0f} tokens/s"
        made = self.record["step"]
        left = f"about {(steps - made) * seconds / max(made, 1) / 60:.0f} min left"
        print(f"{self.name} {made}/{steps} {shown} {pace}, {left}", flush=True)

    def mark(self) -> None:
        """A point of the loss curve."""
        means = {kind: round(mean, 4) for kind, mean in self.record["means"].items()}
        self.record["curve"].append([self.record["step"], means])


def run_stage(
    out: Path,
    model: Any,
    tokenizer: Any,
    step: StageStep,
    source: Source,
    optimizer: TrainSettings,
    record: Mapping[str, Any],
    limit: Time | None = None,
) -> None:
    """Run or resume one stage.

    Args:
        out: The stage's folder.
        model: Trained in place.
        tokenizer: Saved beside it.
        step: What a step does before the optimizers do theirs.
        source: What the steps read.
        optimizer: Number of steps, and their rates.
        record: Settings, for `recipe.json`.
        limit: Time, if limited.

    Raises:
        OutOfTimeError: `limit.ends` has passed.
    """
    out.mkdir(parents=True, exist_ok=True)
    limit = limit or Time()
    optimizers = build_optimizers(model, optimizer)
    resumed = load_checkpoint(out, model, optimizers) if (out / "checkpoint.safetensors").exists() else None
    progress = Progress(out.name, resumed)
    allowed = limit.training * optimizer.time_share
    with closing(_prepared(step, source, optimizer, progress.record["step"], model.device)) as data:
        for each in data:
            if progress.seconds >= allowed:
                break
            number = progress.record["step"]
            progress.add(*step.compute(each))
            factor = rate_factor(number, optimizer, progress.seconds / allowed)
            _update(model, optimizers, (optimizer.muon_rate * factor, optimizer.adam_rate * factor))
            late = time.monotonic() > limit.ends
            if (number + 1) % SHOWN_EVERY == 0:
                progress.read()
                progress.show(optimizer.steps)
            if (number + 1) % optimizer.checkpoint_every == 0 or number + 1 == optimizer.steps or late:
                progress.read()
                progress.mark()
                save_checkpoint(out, model, optimizers, progress.record)
            if late:
                raise OutOfTimeError(f"{out.name} has made {number + 1} steps; the same command resumes")
    progress.read()
    progress.show(optimizer.steps)
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    (out / "recipe.json").write_text(json.dumps({"settings": record, **progress.record}, indent=1))


def _prepared(step: StageStep, source: Source, optimizer: TrainSettings, first: int, device: torch.device) -> Generator[Any]:
    """What the steps from `first` on read, made ahead for a GPU; one thread reads the shards of a folder in their order."""
    in_processes = step.stateless and not isinstance(source, FolderSource)
    return prefetched(
        lambda number: step.prepare(source(optimizer.data_of(number))),
        first,
        optimizer.steps,
        depth=4 if device.type == "cuda" else 0,
        processes=cpus() // 2 if in_processes else 0,
    )


def _update(model: Any, optimizers: list[torch.optim.Optimizer], rates: tuple[float, float]) -> None:
    """One step of the optimizers with the gradients, which are clipped and then cleared."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, rate in zip(optimizers, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


def run_stages(
    out: Path,
    name: str,
    tokenizer: Any,
    stages: Mapping[str, Any],
    make_step: Callable[[Any, Any], StageStep],
    make_source: Callable[[str, Any], Source],
    device: str,
    limit: Time | None = None,
) -> None:
    """Run or resume all stages; ends with `out`/`name` (model and tokenizer) and `out`/recipe.json.

    Args:
        out: Holds a folder for each stage.
        name: Of the model.
        tokenizer: Of the model.
        stages: Settings by name of the stage; their field `optimizer` is a TrainSettings. Where its `inner_width` is more
            than the model has, the model is widened.
        make_step: (model, settings) -> the stage's steps.
        make_source: (name of the stage, settings) -> what its steps read.
        device: "cpu" or "cuda".
        limit: Time, if limited.
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
            model = widened(model.cpu(), settings.optimizer.inner_width).to(device)
            step, source = make_step(model, settings), make_source(stage, settings)
            run_stage(folder, model, tokenizer, step, source, settings.optimizer, asdict(settings), limit)
        recipe[stage] = json.loads((folder / "recipe.json").read_text())
    shutil.copytree(out / list(stages)[-1] / "model", out / name, dirs_exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(recipe, indent=1))
