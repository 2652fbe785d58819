"""Second stage of seal-tiny-text: train the base model for learning passages by adapters (first-order meta-learning).

A step draws some passages. Each gets an adapter that learns the documents of a random self-edit as the inner loop would:
AdamW, a linear schedule, a random learning rate. Then questions in other wordings are asked, without the passage, and their
gradient reaches the base weights (Finn et al. 2017, arXiv 1703.03400, section 5.2). Plain sequences run beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from recipes.fast_weights import FastWeights, pack_tasks, row_mask, task_losses
from recipes.inner_graphs import LENGTH_MULTIPLE, InnerGraphs, document_step
from recipes.self_texts import Rng, pick
from recipes.stage import Losses, TrainSettings
from recipes.step_data import Row, Source, Start, StepData, UpdateEpisode
from recipes.text_pretrain import PlainPart, plain_losses, plain_parts
from recipes.text_stream import (
    TextStreamSettings,
    ask,
    document_row,
    plain_rows,
    question_row,
    random_passage,
    some_texts,
    whole_passage,
)
from seal_env.types import LoraSpec


@dataclass(frozen=True)
class TextEpisodeSettings:
    """How episodes are drawn.

    learning_rate, epochs: ranges, log-uniform and uniform. batch_sizes: each as likely. max_steps: so few epochs are taken
    that there are no more. texts: most of an episode; texts_each: most about a passage of it. bare: the share of episodes
    without texts, which learn the passages only. withheld: of those with texts, the share without the passages. passages:
    the shares of episodes with 1, 2, ... passages, which one adapter learns. asked: questions of an episode; as_asked: see
    TextStreamSettings.
    """

    learning_rate: tuple[float, float] = (8e-4, 4e-3)
    epochs: tuple[int, int] = (3, 8)
    batch_sizes: tuple[int, ...] = (2, 4)
    max_steps: int = 14
    texts: int = 12
    texts_each: int = 12
    bare: float = 0.25
    withheld: float = 0.05
    passages: tuple[float, ...] = (0.9, 0.1)
    asked: int = 12
    as_asked: bool = False


@dataclass(frozen=True)
class TextAdaptSettings:
    """A phase of the second stage.

    lora: the episodes' adapters. tasks: episodes of a step. chunks: parts of similar length in which questions and
    plain rows are read, to save padding.
    """

    lora: LoraSpec = field(default_factory=lambda: LoraSpec(8, 128.0))
    tasks: int = 8
    chunks: int = 2
    plain_weight: float = 1.0
    seed: int = 1
    optimizer: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            steps=160, warmup=20, decay_share=0.0, muon_rate=3e-3, adam_rate=2e-3, layers=4, checkpoint_every=20
        )
    )
    episodes: TextEpisodeSettings = field(default_factory=TextEpisodeSettings)
    stream: TextStreamSettings = field(default_factory=lambda: TextStreamSettings(seed=1))


FIRST = TextAdaptSettings()
SECOND = TextAdaptSettings(
    seed=2,
    optimizer=replace(FIRST.optimizer, steps=80),
    episodes=TextEpisodeSettings(asked=16, as_asked=True),
    stream=TextStreamSettings(reading=6, replies=5, documents=4, copies=5, as_asked=True, seed=2),
)
THIRD = TextAdaptSettings(
    lora=LoraSpec(8, 512.0),
    seed=3,
    optimizer=replace(FIRST.optimizer, steps=140),
    episodes=TextEpisodeSettings((4e-4, 2.5e-3), epochs=(4, 10), max_steps=18, asked=16, as_asked=True),
    stream=replace(SECOND.stream, seed=3),
)
FOURTH = replace(
    THIRD,
    seed=5,
    optimizer=replace(FIRST.optimizer, steps=400, decay_share=0.6),
    stream=TextStreamSettings(reading=6, replies=6, documents=2, copies=3, lists=4, as_asked=True, seed=5),
)
CLOSE = replace(
    FOURTH,
    seed=7,
    optimizer=replace(FOURTH.optimizer, steps=300),
    stream=replace(FOURTH.stream, replies=8, copies=4, seed=7),
)


def draw_episode(tokenizer: Any, settings: TextEpisodeSettings, rng: Rng) -> UpdateEpisode:
    """A passage of the train split, or some, a random self-edit about them, and questions."""
    documents, questions = [], []
    count = 1 + int(rng.choice(len(settings.passages), p=settings.passages))
    most = min(settings.texts // count, settings.texts_each)
    bare = rng.random() < settings.bare
    for _ in range(count):
        drawn = random_passage(rng)
        texts = [] if bare else some_texts(rng, drawn, int(rng.integers(1, most + 1)))
        documents += texts
        if not texts or rng.random() >= settings.withheld:
            documents.append(whole_passage(drawn))
        questions += ask(rng, drawn, settings.asked // count, settings.as_asked)
    rows = [document_row(tokenizer, document) for document in documents]
    size = pick(rng, settings.batch_sizes)
    a_pass = -(-len(rows) // size)
    low, high = settings.epochs
    epochs = max(1, min(int(rng.integers(low, high + 1)), settings.max_steps // a_pass))
    batches = [batch for _ in range(epochs) for batch in _batches(rows, size, rng)]
    slow, fast = settings.learning_rate
    rate = math.exp(rng.uniform(math.log(slow), math.log(fast)))
    rates = [rate * (1 - step / len(batches)) for step in range(len(batches))]
    return UpdateEpisode(batches, rates, [question_row(tokenizer, question) for question in questions])


def _batches(rows: list[Row], size: int, rng: Rng) -> list[list[Row]]:
    order = rng.permutation(len(rows)).tolist()
    return [[rows[index] for index in order[start : start + size]] for start in range(0, len(order), size)]


def episodes_source(tokenizer: Any, settings: TextAdaptSettings) -> Source:
    """What each step reads: new episodes in every place, and plain sequences."""

    def draw(number: int) -> StepData:
        rng = np.random.default_rng([settings.seed, number])
        episodes = [draw_episode(tokenizer, settings.episodes, rng).trimmed() for _ in range(settings.tasks)]
        starts = [Start(task, int(rng.integers(2**31)), episode) for task, episode in enumerate(episodes)]
        return StepData(plain_rows(tokenizer, settings.stream, number), starts=[starts])

    return draw


class QuestionPart(NamedTuple):
    """Some tasks, and their questions as `pack_tasks` packs them: ids, labels and owners, each [tasks, longest]."""

    tasks: torch.Tensor
    ids: torch.Tensor
    labels: torch.Tensor
    owners: torch.Tensor


class DocumentBatch(NamedTuple):
    """One step of the adapters: documents of the first `tasks` adapters, [tasks, length], of which `learning` learn."""

    tasks: int
    length: int
    learning: int


@dataclass(frozen=True)
class PreparedEpisodes:
    """A step of the base weights, in host memory. Episodes with the most steps come first.

    Attributes:
        seeds: Of the fresh adapters.
        batches_S: What each step of the adapters learns.
        ids: Of all batches, one after another, [tokens].
        owners: The same; see `pack_tasks`.
        rates: [steps, tasks].
        ask: All tasks' questions, in parts of similar length.
        bare: Which tasks learn a single document, [tasks].
        plain: Rows without adapters.
        tokens: Read in the step.
    """

    seeds: list[int]
    batches_S: list[DocumentBatch]
    ids: torch.Tensor
    owners: torch.Tensor
    rates: torch.Tensor
    ask: list[QuestionPart]
    bare: torch.Tensor
    plain: list[PlainPart]
    tokens: int

    def pin_memory(self) -> PreparedEpisodes:
        """The same in memory from which a GPU copies while it computes."""
        return replace(
            self,
            **{name: getattr(self, name).pin_memory() for name in ("ids", "owners", "rates", "bare")},
            ask=[QuestionPart(*(tensor.pin_memory() for tensor in part)) for part in self.ask],
            plain=[PlainPart(part.ids.pin_memory(), part.labels, part.share) for part in self.plain],
        )


class TextAdaptation:
    """The steps of the second stage."""

    def __init__(self, model: Any, pad: int, settings: TextAdaptSettings) -> None:
        self.model, self.pad, self.settings = model, pad, settings
        self.fast = FastWeights(model, settings.lora, settings.tasks)
        self.graphs = InnerGraphs(model, self.fast) if model.device.type == "cuda" else None

    def prepare(self, data: StepData) -> PreparedEpisodes:
        """All tensors of a step. Needs neither weights nor a GPU."""
        (starts,) = data.starts
        starts = sorted(starts, key=lambda start: -len(start.episode.batches_S))
        episodes = [start.episode for start in starts]
        steps = [self._documents(episodes, step) for step in range(len(episodes[0].batches_S))]
        return PreparedEpisodes(
            seeds=[start.seed for start in starts],
            batches_S=[batch for batch, _, _ in steps],
            ids=torch.cat([ids.flatten() for _, ids, _ in steps]).to(torch.int32),
            owners=torch.cat([owners.flatten() for _, _, owners in steps]).to(torch.int32),
            rates=torch.tensor([_rates(episodes, step) for step in range(len(steps))]),
            ask=self._questions(episodes),
            bare=torch.tensor([len(episode.batches_S[0]) == 1 for episode in episodes]),
            plain=plain_parts(data.plain, self.pad, self.settings.chunks),
            tokens=data.tokens,
        )

    def _documents(self, episodes: list[UpdateEpisode], step: int) -> tuple[DocumentBatch, torch.Tensor, torch.Tensor]:
        """The documents of a step, ids and owners [tasks, length]; for a GPU with few shapes, for which there are graphs."""
        learning = sum(step < len(episode.batches_S) for episode in episodes)
        quarter = -(-len(episodes) // 4) if self.graphs else 1
        tasks = min(-(-learning // quarter) * quarter, len(episodes))
        rows = [episode.batches_S[step] if step < len(episode.batches_S) else [] for episode in episodes[:tasks]]
        ids, _, owners = pack_tasks(rows, self.pad, LENGTH_MULTIPLE if self.graphs else 1)
        return DocumentBatch(len(ids), ids.shape[1], learning), ids, owners

    def _questions(self, episodes: list[UpdateEpisode]) -> list[QuestionPart]:
        lengths = [sum(len(ids) for ids, _ in episode.queries) for episode in episodes]
        order = sorted(range(len(episodes)), key=lengths.__getitem__)
        size = -(-len(order) // self.settings.chunks)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        packed = (pack_tasks([episodes[task].queries for task in part], self.pad) for part in parts)
        return [QuestionPart(torch.tensor(part), *tensors) for part, tensors in zip(parts, packed, strict=True)]

    def step(self, prepared: PreparedEpisodes) -> tuple[Losses, int]:
        """Backward of all losses of a step; mean losses by kind, and tokens read."""
        self.fast.begin(torch.arange(len(prepared.seeds)), self.fast.draw(prepared.seeds))
        losses: dict[str, float | torch.Tensor] = dict(self._learn(prepared))
        asked = self._ask(prepared.ask)
        bare = prepared.bare.to(asked.device, non_blocking=True)
        losses["asked"] = asked.mean()
        losses["bare"] = (asked * bare).sum() / bare.sum()
        losses["plain"] = plain_losses(self.model, prepared.plain, self.settings.plain_weight)
        return losses, prepared.tokens

    def _learn(self, prepared: PreparedEpisodes) -> dict[str, torch.Tensor]:
        """All steps of the adapters; mean losses of their first and of their last steps."""
        ids, owners, rates = (
            tensor.to(self.model.device, non_blocking=True) for tensor in (prepared.ids, prepared.owners, prepared.rates)
        )
        first = last = torch.zeros(self.settings.tasks, device=self.model.device)
        at = 0
        for step, (tasks, length, learning) in enumerate(prepared.batches_S):
            end = at + tasks * length
            batch = (ids[at:end].view(tasks, length).long(), owners[at:end].view(tasks, length), rates[step, :tasks])
            found = self.graphs.step(*batch) if self.graphs else document_step(self.model, self.fast, *batch)
            if step == 0:
                first, last = found.clone(), found.clone()
            last[:learning] = found[:learning]
            at = end
        return {"first": first.mean(), "last": last.mean()}

    def _ask(self, parts: list[QuestionPart]) -> torch.Tensor:
        """Loss of each task's questions with its adapter, [tasks]; adds the base model's gradients."""
        losses = torch.zeros(self.settings.tasks, device=self.model.device)
        for part in parts:
            tasks, owners = (tensor.to(losses.device, non_blocking=True) for tensor in (part.tasks, part.owners))
            adapters = self.fast.take(tasks, learn=False)
            ids, labels = part.ids[:, None], part.labels[:, None]
            found = task_losses(self.model, ids, labels, adapters, self.fast.scale, row_mask(owners))
            (found.sum() / len(losses)).backward()
            losses = losses.index_copy(0, tasks, found.detach())
        return losses


def _rates(episodes: list[UpdateEpisode], step: int) -> list[float]:
    """Of all episodes at a step; 0 for those that have ended."""
    return [episode.rates_S[step] if step < len(episode.batches_S) else 0.0 for episode in episodes]
