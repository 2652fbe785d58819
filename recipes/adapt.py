"""Second stage of the recipe: train the base model for adaptation, in phases (`PHASES`).

Many tasks are in progress at once, each with an adapter that learns by a random self-edit's examples as it would in the
inner loop. The base weights get the gradient of queries, asked with the adapter as it is by then: so they learn to be good
*after* an update (first-order meta-learning, as in Finn et al. 2017, arXiv 1703.03400). Beside it run plain sequences
without adapters, and self-edits to be written. The first phase asks after every step of the adapters, which teaches the
rule families quickly but lets the base weights learn the tasks in progress; the others ask at the end only. The last adds
composed rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from recipes.fast_weights import FastWeights, pad_tasks, task_losses
from recipes.self_edit_data import EpisodeSettings, Row, UpdateEpisode, draw_episode, self_edit_row
from recipes.stage import Losses, TrainSettings
from recipes.stream import StreamSettings, batch_rows
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

    def __init__(self, model: Any, tokenizer: Any, settings: AdaptSettings) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.encoder = ChatEncoder(tokenizer, MODEL_NAME)
        self.domain = ArcDomain(DEFAULTS["grid_format"])
        self.fast = FastWeights(model, LoraSpec(DEFAULTS["lora_rank"], DEFAULTS["lora_alpha"]), settings.tasks)
        self.episodes: list[UpdateEpisode | None] = [None] * settings.tasks
        self.tokens = 0

    def step(self, number: int) -> tuple[Losses, int]:
        """Backward of all losses of a step, with one or more steps of every adapter; mean losses by kind, tokens read."""
        self.tokens = 0
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
        return losses, self.tokens

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
