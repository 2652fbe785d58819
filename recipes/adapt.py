"""Second stage of the recipe: train the base model for adaptation, in phases (`PHASES`).

Many tasks are in progress at once, each with an adapter that learns by a random self-edit's examples as it would in the
inner loop. The base weights get the gradient of queries, asked with the adapter as it is by then: so they learn to be good
*after* an update (first-order meta-learning, as in Finn et al. 2017, arXiv 1703.03400). Beside it run plain sequences
without adapters, and self-edits to be written. The first phase asks after every step of the adapters, which teaches the
rule families quickly but lets the base weights learn the tasks in progress; the others ask at the end only. The last adds
composed rules.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from recipes.fast_weights import FastWeights, pad_tasks, task_losses
from recipes.self_edit_data import EpisodeSettings
from recipes.stage import Losses, TrainSettings, pinned
from recipes.step_data import Row, Start, StepData, UpdateEpisode
from recipes.stream import StreamSettings
from seal_env.models.catalog import MODEL_DEFAULTS, MODEL_NAME
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.table_rules import TABLE_FAMILIES
from seal_env.types import LoraSpec

DEFAULTS = MODEL_DEFAULTS[MODEL_NAME]
LATE = 16
"""Steps after which a query counts as late."""
OPTIMIZER = TrainSettings(warmup=20, decay_share=0.4, muon_rate=3e-3, adam_rate=2e-3)


@dataclass(frozen=True)
class AdaptSettings:
    """A phase of the second stage.

    tasks: adapters in progress at once. chunks: parts of similar length, to save padding. ask_always: queries after every
    step of an adapter, not only after its last. accumulate: steps of the adapters for one of the base weights. inner_weight,
    plain_weight, self_edit_weight: of the losses beside the queries' one; those of the last two are added once for each step
    of the base weights, the self-edits every `self_edit_every`. read_task: see `self_edit_row`. synchronous: every episode
    begins and ends within one step, whatever `accumulate` is. part: tasks that are asked at a time, and rows without
    adapters.
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
    synchronous: bool = False
    part: int = 4
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


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass: tasks [tasks], their rows' ids and labels [tasks, rows, longest], in host memory.

    late: Which of the tasks have learned for long, [tasks].
    """

    tasks: torch.Tensor
    ids: torch.Tensor
    labels: torch.Tensor
    late: torch.Tensor


@dataclass(frozen=True)
class AdapterStep:
    """One step of the adapters: fresh ones, what all learn at which rates [all tasks], and what some are asked."""

    fresh: torch.Tensor
    drawn: list[torch.Tensor]
    learn: list[Pass]
    rates: torch.Tensor
    ask: list[Pass]


@dataclass(frozen=True)
class PreparedStep:
    """A step of the base weights, ready to be computed."""

    adapter_steps: list[AdapterStep]
    plain: list[Pass]
    self_edits: list[Pass]
    tokens: int


class Adaptation:
    """The state of the second stage: base model, adapters, tasks in progress."""

    def __init__(self, model: Any, pad: int, settings: AdaptSettings) -> None:
        self.model, self.pad, self.settings = model, pad, settings
        self.fast = FastWeights(model, LoraSpec(DEFAULTS["lora_rank"], DEFAULTS["lora_alpha"]), settings.tasks)
        self.episodes: list[UpdateEpisode | None] = [None] * settings.tasks

    def prepare(self, data: StepData) -> PreparedStep:
        """All tensors of a step; steps in their order, since episodes go on. Needs neither weights nor a GPU."""
        steps = [self._adapter_step(starts) for starts in data.starts]
        plain, self_edits = self._rows(data.plain), self._rows(data.self_edits)
        passes = [each for step in steps for each in (*step.learn, *step.ask)]
        tokens = sum(int((each.ids != self.pad).sum()) for each in (*passes, *plain, *self_edits))
        return PreparedStep(steps, plain, self_edits, tokens)

    def _adapter_step(self, starts: list[Start]) -> AdapterStep:
        for start in starts:
            self.episodes[start.task] = start.episode
        fresh = torch.tensor([start.task for start in starts], dtype=torch.long)
        drawn = [pinned(layer) for layer in self.fast.draw([start.seed for start in starts])] if starts else []
        going = {task: each for task, each in enumerate(self.episodes) if each is not None and not each.done}
        rates = torch.zeros(self.settings.tasks)
        for task, episode in going.items():
            rates[task] = episode.rates_S[episode.step]
        learned = {task: episode.batches_S[episode.step] for task, episode in going.items()}
        order = sorted(learned, key=lambda task: _longest(learned[task]))
        size = -(-len(order) // self.settings.chunks)
        learn = [self._pass(order[at : at + size], learned) for at in range(0, len(order), size or 1)]
        late = {task for task, episode in going.items() if episode.step >= LATE or not self.settings.ask_always}
        for episode in going.values():
            episode.step += 1
        asked = [task for task, episode in going.items() if episode.done or self.settings.ask_always]
        asked.sort(key=lambda task: _longest(going[task].queries))
        queries = {task: going[task].next_queries(self.settings.episodes.ask) for task in asked}
        size = self.settings.part
        ask = [self._pass(asked[at : at + size], queries, late) for at in range(0, len(asked), size)]
        return AdapterStep(fresh, drawn, learn, pinned(rates), ask)

    def _rows(self, rows: list[Row]) -> list[Pass]:
        """Rows without adapters."""
        ordered, size = sorted(rows, key=lambda row: len(row[0])), self.settings.part
        chosen = {index: [row] for index, row in enumerate(ordered)}
        return [self._pass(list(chosen)[at : at + size], chosen) for at in range(0, len(ordered), size)]

    def _pass(self, tasks: list[int], rows: dict[int, list[Row]], late: Collection[int] = ()) -> Pass:
        ids, labels = pad_tasks([rows[task] for task in tasks], self.pad)
        return Pass(pinned(torch.tensor(tasks)), pinned(ids), labels, pinned(torch.tensor([task in late for task in tasks])))

    def step(self, prepared: PreparedStep) -> tuple[Losses, int]:
        """Backward of all losses of a step, with one or more steps of every adapter; mean losses by kind, tokens read."""
        inner: list[torch.Tensor] = []
        asked: list[torch.Tensor] = []
        for step in prepared.adapter_steps:
            if len(step.fresh):
                self.fast.begin(step.fresh, step.drawn)
            gradients = [torch.zeros_like(weight) for weight in self.fast.flat()]
            inner += [self._inner(each, gradients) for each in step.learn]
            if self.settings.ask_always:
                asked += [self._ask(each) for each in step.ask]
            self.fast.step(gradients, step.rates.to(self.model.device, non_blocking=True))
            if not self.settings.ask_always:
                asked += [self._ask(each) for each in step.ask]
        losses: dict[str, float | torch.Tensor] = {"inner": torch.cat(inner).mean() if inner else math.nan}
        late = [each.late for step in prepared.adapter_steps for each in step.ask]
        losses |= _early_and_late(asked, late)
        losses["plain"] = self._plain(prepared.plain, self.settings.plain_weight)
        if prepared.self_edits:
            losses["self-edit"] = self._plain(prepared.self_edits, self.settings.self_edit_weight)
        return losses, prepared.tokens

    def _inner(self, each: Pass, gradients: list[torch.Tensor]) -> torch.Tensor:
        """Losses of the tasks' own batches, [tasks]; adds the adapters' gradients, and a share of the base model's."""
        adapters = self.fast.take(each.tasks, learn=True)
        taken = [weight for pair in adapters.values() for weight in pair]
        losses = task_losses(self.model, each.ids, each.labels, adapters, self.fast.scale)
        share = self.settings.inner_weight / self.settings.tasks
        if share:
            base = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            found = torch.autograd.grad(losses.sum(), [*taken, *base])
            for parameter, gradient in zip(base, found[len(taken) :], strict=True):
                parameter.grad = gradient * share if parameter.grad is None else parameter.grad + gradient * share
        else:
            found = torch.autograd.grad(losses.sum(), taken)
        tasks = each.tasks.to(self.model.device, non_blocking=True)
        for gradient, part in zip(gradients, found, strict=False):
            gradient.index_copy_(0, tasks, part)
        return losses.detach()

    def _ask(self, each: Pass) -> torch.Tensor:
        """Losses of some tasks' queries with their adapters, [tasks]; adds the base model's gradients."""
        adapters = self.fast.take(each.tasks, learn=False)
        found = task_losses(self.model, each.ids, each.labels, adapters, self.fast.scale)
        (found.sum() / self.settings.tasks).backward()
        return found.detach()

    def _plain(self, passes: list[Pass], weight: float) -> torch.Tensor:
        """Mean loss of sequences without adapters; adds the base model's gradients."""
        count, total = sum(len(each.tasks) for each in passes), torch.zeros((), device=self.model.device)
        for each in passes:
            losses = task_losses(self.model, each.ids, each.labels, None, 0.0)
            (losses.sum() * (weight / count)).backward()
            total += losses.detach().sum() / count
        return total


def _early_and_late(losses: list[torch.Tensor], late: list[torch.Tensor]) -> dict[str, float | torch.Tensor]:
    """Mean losses of the queries that came early in an update, and late."""
    found: dict[str, float | torch.Tensor] = {"early": math.nan, "late": math.nan}
    for name, wanted in (("early", False), ("late", True)):
        count = sum(int((each == wanted).sum()) for each in late)
        if count:
            shares = [(each == wanted) / count for each in late]
            sums = [
                (loss * share.to(loss.device, non_blocking=True)).sum() for loss, share in zip(losses, shares, strict=True)
            ]
            found[name] = torch.stack(sums).sum()
    return found


def _longest(rows: list[Row]) -> int:
    return max(len(ids) for ids, _ in rows)
