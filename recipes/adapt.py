"""Second stage of the recipe: train the base model for adaptation, in phases (`PHASES`).

Many tasks are in progress at once, each with an adapter that learns by a random self-edit's examples as it would in the
inner loop. The base weights get the gradient of queries, asked with the adapter as it is by then: so they learn to be good
*after* an update (first-order meta-learning, as in Finn et al. 2017, arXiv 1703.03400). Beside it run plain sequences
without adapters, and self-edits to be written. The first phase asks after every step of the adapters, which teaches the
rule families quickly but lets the base weights learn the tasks in progress; the others ask at the end only. The last adds
composed rules.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.fast_weights import FastWeights, pad_tasks, task_losses
from recipes.self_edit_data import EpisodeSettings, Row, UpdateEpisode, draw_episode, self_edit_row
from recipes.stream import StreamSettings, batch_rows
from recipes.tokenizer import build_tokenizer
from recipes.train import (
    MAX_POSITIONS,
    TrainSettings,
    build_optimizers,
    load_checkpoint,
    rate_factor,
    save_checkpoint,
)
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_DEFAULTS, MODEL_NAME
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.table_rules import TABLE_FAMILIES
from seal_env.types import LoraSpec

DEFAULTS = MODEL_DEFAULTS[MODEL_NAME]
OPTIMIZER = TrainSettings(warmup=20, decay_share=0.4, muon_rate=3e-3, adam_rate=2e-3)


@dataclass(frozen=True)
class AdaptSettings:
    """A phase of the second stage.

    tasks: adapters in progress at once. chunks: parts of similar length, to save padding. ask_always: queries after every
    step of an adapter, not only after its last. accumulate: steps of the adapters for one of the base weights. inner_weight,
    plain_weight, self_edit_weight: of the losses beside the queries' one; those of the last two are added once for each step
    of the base weights, the self-edits every `self_edit_every`. read_task: see `self_edit_row`.
    """

    tasks: int = 16
    chunks: int = 4
    ask_always: bool = False
    accumulate: int = 6
    inner_weight: float = 0.0
    plain_weight: float = 0.5
    self_edit_weight: float = 0.3
    self_edit_every: int = 1
    self_edits: int = 2
    read_task: bool = False
    seed: int = 2
    optimizer: TrainSettings = field(default_factory=lambda: replace(OPTIMIZER, steps=640))
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    stream: StreamSettings = field(
        default_factory=lambda: StreamSettings(tasks=4, small_steps=0, wide_from=0, wide_share=0.5, max_tokens=448)
    )


SIMPLE = (*GENERAL_FAMILIES, *TABLE_FAMILIES)
FIRST = AdaptSettings(
    tasks=20,
    ask_always=True,
    accumulate=1,
    inner_weight=0.5,
    self_edit_weight=0.2,
    self_edit_every=4,
    self_edits=4,
    seed=1,
    stream=StreamSettings(tasks=8, small_steps=0, wide_from=0, wide_share=0.5),
    optimizer=replace(OPTIMIZER, steps=600, warmup=100, decay_share=0.0),
    episodes=EpisodeSettings(
        (1e-4, 1.5e-3),
        max_tokens=256,
        max_query_tokens=256,
        max_steps=32,
        warmup_steps=11,
        ask=1,
        families=(*SIMPLE, *TABLE_FAMILIES),
    ),
)
SECOND = AdaptSettings(
    optimizer=replace(OPTIMIZER, steps=100, decay_share=0.0),
    episodes=EpisodeSettings(families=(*SIMPLE, *TABLE_FAMILIES)),
)
COMPOSED = (
    "paint-paint-paint",
    "stamp-stamp",
    "cipher-paint",
    "keep-paint",
    "neighbour-paint",
    "gravity-paint",
    "crop-paint",
    "crop-tile",
    "crop-scale",
    "crop-mirror",
    "crop-symmetry",
    "rays-crop",
    "rays-paint",
    "gravity-crop",
)
THIRD = AdaptSettings(
    seed=3,
    optimizer=replace(OPTIMIZER, steps=340),
    episodes=EpisodeSettings(families=SIMPLE + 2 * COMPOSED),
    stream=StreamSettings(tasks=4, small_steps=0, wide_from=0, wide_share=0.5, seed=3),
)
FOURTH = AdaptSettings(
    seed=4,
    optimizer=replace(OPTIMIZER, steps=450, decay_share=0.7, muon_rate=2e-3, adam_rate=1.3e-3),
    episodes=EpisodeSettings(families=SIMPLE + 4 * COMPOSED),
    stream=StreamSettings(tasks=4, small_steps=0, wide_from=0, wide_share=0.5, seed=4),
)
FIFTH = AdaptSettings(
    seed=5,
    self_edit_weight=0.6,
    self_edits=3,
    read_task=True,
    optimizer=replace(OPTIMIZER, steps=450, decay_share=0.7, muon_rate=2e-3, adam_rate=1.3e-3),
    stream=StreamSettings(tasks=4, small_steps=0, wide_from=0, wide_share=0.5, seed=5),
)
PHASES = {"first": FIRST, "second": SECOND, "third": THIRD, "fourth": FOURTH, "fifth": FIFTH}


class Adaptation:
    """The state of the second stage: base model, adapters, tasks in progress."""

    def __init__(self, model: Any, tokenizer: Any, settings: AdaptSettings, spec: LoraSpec) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.encoder = ChatEncoder(tokenizer, MODEL_NAME)
        self.domain = ArcDomain(DEFAULTS["grid_format"])
        self.fast = FastWeights(model, spec, settings.tasks)
        self.episodes: list[UpdateEpisode | None] = [None] * settings.tasks
        self.tokens = 0

    def step(self, number: int) -> dict[str, float]:
        """Backward of all losses of step `number`, with one or more steps of every adapter. Mean losses by kind."""
        rng = np.random.default_rng([self.settings.seed, number])
        inner: list[float] = []
        early: list[float] = []
        late: list[float] = []
        for _ in range(self.settings.accumulate):
            self._refill(rng)
            episodes = [episode for episode in self.episodes if episode is not None]
            order = sorted(range(len(episodes)), key=lambda task: _longest(episodes[task].batches_S[episodes[task].step]))
            size = -(-len(order) // self.settings.chunks)
            gradients = [torch.zeros_like(weight) for weight in self.fast.flat()]
            for start in range(0, len(order), size):
                tasks = torch.tensor(order[start : start + size])
                inner += self._inner(tasks, episodes, gradients).tolist()
            if self.settings.ask_always:
                for episode, loss in zip(episodes, self._ask(list(range(len(order))), episodes), strict=True):
                    (late if episode.step >= 16 else early).append(loss)
            rates = torch.tensor([episode.rates_S[episode.step] for episode in episodes], device=self.model.device)
            self.fast.step(gradients, rates)
            for episode in episodes:
                episode.step += 1
            if not self.settings.ask_always:
                late += self._ask([task for task, episode in enumerate(episodes) if episode.done], episodes)
        losses = {"inner": _mean(inner), "early": _mean(early), "late": _mean(late)}
        losses["plain"] = self._plain(batch_rows(self.tokenizer, self.settings.stream, number), self.settings.plain_weight)
        if number % self.settings.self_edit_every == 0:
            rows = [
                self_edit_row(self.encoder, self.domain, rng, self.settings.read_task)
                for _ in range(self.settings.self_edits)
            ]
            losses["self-edit"] = self._plain(rows, self.settings.self_edit_weight)
        return losses

    def _refill(self, rng: np.random.Generator) -> None:
        """New tasks in the places of those that are done; at first, with beginnings spread over time."""
        for task, episode in enumerate(self.episodes):
            if episode is None or episode.done:
                fresh = draw_episode(self.encoder, self.domain, self.settings.episodes, rng)
                if episode is None:
                    fresh.batches_S = fresh.batches_S[: int(rng.integers(1, len(fresh.batches_S) + 1))]
                self.episodes[task] = fresh
                self.fast.reset(task, int(rng.integers(2**31)))

    def _inner(self, tasks: torch.Tensor, episodes: list[UpdateEpisode], gradients: list[torch.Tensor]) -> torch.Tensor:
        """Losses of the tasks' own batches, [tasks]; adds the adapters' gradients, and a share of the base model's."""
        rows = [episodes[task].batches_S[episodes[task].step] for task in tasks.tolist()]
        adapters = self.fast.take(tasks, learn=True)
        taken = [weight for pair in adapters.values() for weight in pair]
        ids, labels = self._tensors(rows)
        losses = task_losses(self.model, ids, labels, adapters, self.fast.scale)
        share = self.settings.inner_weight / self.settings.tasks
        if share:
            base = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            found = torch.autograd.grad(losses.sum(), [*taken, *base])
            for parameter, gradient in zip(base, found[len(taken) :], strict=True):
                parameter.grad = gradient * share if parameter.grad is None else parameter.grad + gradient * share
        else:
            found = torch.autograd.grad(losses.sum(), taken)
        for gradient, part in zip(gradients, found, strict=False):
            gradient[tasks] = part
        return losses.detach()

    def _ask(self, tasks: list[int], episodes: list[UpdateEpisode]) -> list[float]:
        """Loss of each task's queries with its adapter; adds the base model's gradients."""
        asked = sorted(tasks, key=lambda task: _longest(episodes[task].queries))
        count, losses = self.settings.episodes.ask, dict.fromkeys(tasks, 0.0)
        for start in range(0, len(asked), 4):
            part = asked[start : start + 4]
            rows = [episodes[task].next_queries(count) for task in part]
            ids, labels = self._tensors(rows)
            adapters = self.fast.take(torch.tensor(part), learn=False)
            found = task_losses(self.model, ids, labels, adapters, self.fast.scale)
            (found.sum() / self.settings.tasks).backward()
            losses |= dict(zip(part, found.tolist(), strict=True))
        return [losses[task] for task in tasks]

    def _tensors(self, rows: list[list[Row]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows by task as padded (ids, labels) on the model's device; counts their tokens."""
        self.tokens += sum(len(ids) for task in rows for ids, _ in task)
        ids, labels = pad_tasks(rows, int(self.tokenizer.pad_token_id))
        return ids.to(self.model.device), labels.to(self.model.device)

    def _plain(self, rows: list[Row], weight: float) -> float:
        """Mean loss of sequences without adapters; adds the base model's gradients."""
        ordered = sorted(rows, key=lambda row: len(row[0]))
        total = 0.0
        for start in range(0, len(ordered), 4):
            ids, labels = self._tensors([[row] for row in ordered[start : start + 4]])
            losses = task_losses(self.model, ids, labels, None, 0.0)
            (losses.sum() * (weight / len(rows))).backward()
            total += float(losses.detach().sum()) / len(rows)
        return total


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _longest(rows: list[Row]) -> int:
    return max(len(ids) for ids, _ in rows)


def carry_over(start: Path, tokenizer: Any) -> Any:
    """The model with its embeddings moved to `tokenizer`: equal tokens keep theirs, new ones get their parts' mean."""
    model: Any = AutoModelForCausalLM.from_pretrained(start)
    old_tokenizer: Any = AutoTokenizer.from_pretrained(start)
    if old_tokenizer.get_vocab() == tokenizer.get_vocab():
        return model
    old, known = model.get_input_embeddings().weight.detach(), old_tokenizer.get_vocab()
    fresh = torch.empty(len(tokenizer), old.shape[1])
    for token, index in tokenizer.get_vocab().items():
        text = tokenizer.decode([index])
        parts = [known[token]] if token in known else old_tokenizer(text, add_special_tokens=False)["input_ids"] or [0]
        fresh[index] = old[parts].mean(0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.get_input_embeddings().weight.data.copy_(fresh)
    return model


def adapt(start: Path, out: Path, settings: AdaptSettings, device: str) -> None:
    """Run, or go on with, the second stage and save the model to `out`/model."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer: Any = build_tokenizer(MAX_POSITIONS)
    model = carry_over(start, tokenizer).to(device)
    optimizers = build_optimizers(model, settings.optimizer)
    progress: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0, "curve": []}
    if (out / "checkpoint.safetensors").exists():
        progress = load_checkpoint(out, model, optimizers)
    state = Adaptation(model, tokenizer, settings, LoraSpec(DEFAULTS["lora_rank"], DEFAULTS["lora_alpha"]))
    state.tokens = progress["tokens"]
    base_rates = [settings.optimizer.muon_rate, settings.optimizer.adam_rate]
    means: dict[str, float] = {}
    began = time.perf_counter() - progress["seconds"]
    for number in range(progress["step"], settings.optimizer.steps):
        for optimizer, rate in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * rate_factor(number, settings.optimizer)
        losses = state.step(number)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for kind, loss in losses.items():
            if loss == loss:
                means[kind] = 0.9 * means.get(kind, loss) + 0.1 * loss
        progress |= {"step": number + 1, "tokens": state.tokens, "seconds": time.perf_counter() - began}
        if (number + 1) % 10 == 0:
            shown = " ".join(f"{kind} {loss:.3f}" for kind, loss in means.items())
            print(f"step {number + 1} {shown} {progress['seconds']:.0f} s", flush=True)
        if (number + 1) % settings.optimizer.checkpoint_every == 0 or number + 1 == settings.optimizer.steps:
            progress["curve"].append([number + 1, {kind: round(loss, 4) for kind, loss in means.items()}])
            save_checkpoint(out, model, optimizers, progress)
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    (out / "recipe.json").write_text(json.dumps({"adapt": asdict(settings), **progress}, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, required=True, help="model of the first stage")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, loss curve and model")
    parser.add_argument("--phase", choices=PHASES, required=True)
    parser.add_argument("--steps", type=int, default=0, help="steps of the base weights; 0 is the phase's own number")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = PHASES[arguments.phase]
    if arguments.steps:
        settings = replace(settings, optimizer=replace(settings.optimizer, steps=arguments.steps))
    adapt(arguments.start, arguments.out, settings, "cuda" if torch.cuda.is_available() else "cpu")


if __name__ == "__main__":
    main()
