"""Second stage of seal-tiny-text: train the base model for learning passages by adapters (first-order meta-learning).

A step draws some passages. Each gets an adapter that learns the documents of a random self-edit as the inner loop would:
AdamW, a linear schedule, a random learning rate. Then questions in other wordings are asked, without the passage, and their
gradient reaches the base weights (Finn et al. 2017, arXiv 1703.03400, section 5.2). Plain sequences run beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from recipes.fast_weights import FastWeights, pack_tasks, task_losses
from recipes.self_texts import Rng, pick
from recipes.stage import Losses, TrainSettings
from recipes.step_data import Row, Source, Start, StepData, UpdateEpisode
from recipes.text_pretrain import plain_losses
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

    lora: the episodes' adapters. tasks: episodes of a step. chunks: parts of similar length, to save padding.
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


class TextAdaptation:
    """The steps of the second stage."""

    def __init__(self, model: Any, pad: int, settings: TextAdaptSettings) -> None:
        self.model, self.pad, self.settings = model, pad, settings
        self.fast = FastWeights(model, settings.lora, settings.tasks)

    def step(self, data: StepData) -> tuple[Losses, int]:
        """Backward of all losses of a step; mean losses by kind, and tokens read."""
        (starts,) = data.starts
        episodes = [start.episode for start in starts]
        self.fast.begin(torch.tensor([start.task for start in starts]), self.fast.draw([start.seed for start in starts]))
        found: list[float] = []
        losses: dict[str, float | torch.Tensor] = {"first": 0.0, "last": 0.0, "asked": 0.0, "bare": 0.0}
        for step in range(max(len(episode.batches_S) for episode in episodes)):
            found = self._learn(episodes, step)
            if step == 0:
                losses["first"] = sum(found) / len(found)
        losses["last"] = sum(found) / len(found)
        asked = self._ask(episodes)
        bare = [loss for loss, episode in zip(asked, episodes, strict=True) if len(episode.batches_S[0]) == 1]
        losses["asked"] = sum(asked) / len(asked)
        losses["bare"] = sum(bare) / len(bare) if bare else losses["asked"]
        losses["plain"] = plain_losses(self.model, data.plain, self.pad, self.settings.chunks, self.settings.plain_weight)
        return losses, data.tokens

    def _learn(self, episodes: list[UpdateEpisode], step: int) -> list[float]:
        """One step of the adapters of all episodes that have so many; their losses."""
        going = [task for task, episode in enumerate(episodes) if step < len(episode.batches_S)]
        gradients = [torch.zeros_like(weight) for weight in self.fast.flat()]
        rates, losses = torch.zeros(len(episodes)), []
        for task in going:
            rates[task] = episodes[task].rates_S[step]
        for tasks in self._parts(going, [episodes[task].batches_S[step] for task in going]):
            adapters = self.fast.take(torch.tensor(tasks), learn=True)
            found = self._losses([episodes[task].batches_S[step] for task in tasks], adapters)
            taken = [weight for pair in adapters.values() for weight in pair]
            for gradient, part in zip(gradients, torch.autograd.grad(found.sum(), taken), strict=True):
                gradient[tasks] = part
            losses += found.tolist()
        self.fast.step(gradients, rates.to(self.model.device))
        return losses

    def _ask(self, episodes: list[UpdateEpisode]) -> list[float]:
        """Loss of each episode's questions with its adapter; adds the base model's gradients."""
        losses = [0.0] * len(episodes)
        for tasks in self._parts(list(range(len(episodes))), [episode.queries for episode in episodes]):
            found = self._losses(
                [episodes[task].queries for task in tasks], self.fast.take(torch.tensor(tasks), learn=False)
            )
            (found.sum() / len(episodes)).backward()
            for task, loss in zip(tasks, found.tolist(), strict=True):
                losses[task] = loss
        return losses

    def _parts(self, tasks: list[int], rows: list[list[Row]]) -> list[list[int]]:
        """The tasks in parts of similar length."""
        lengths = [sum(len(ids) for ids, _ in each) for each in rows]
        order = [tasks[index] for index in sorted(range(len(tasks)), key=lambda index: lengths[index])]
        size = -(-len(order) // self.settings.chunks)
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _losses(self, rows: list[list[Row]], adapters: Any) -> torch.Tensor:
        ids, labels, mask = pack_tasks(rows, self.pad)
        return task_losses(self.model, ids, labels, adapters, self.fast.scale, mask)
