"""What the steps of seal-tiny's adaptation read: episodes that begin, plain sequences, self-edits to be written."""

from __future__ import annotations

from typing import Any

import numpy as np

from recipes.adapt import DEFAULTS, AdaptSettings
from recipes.self_edit_data import draw_episode, self_edit_row
from recipes.step_data import Start, StepData
from recipes.stream import batch_rows
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_NAME
from seal_env.tasks.arc.domain import ArcDomain

NEW = -1


class AdaptSource:
    """Number of a step -> what it reads.

    Unless the settings are `synchronous`, episodes go on over steps: a step depends on the one before it, and after a gap
    all of them begin anew.

    Attributes:
        next_step: The step that goes on with the episodes in progress.
        left_S: Steps that each task's episode still has; `NEW` where there never was one.
    """

    def __init__(self, tokenizer: Any, settings: AdaptSettings) -> None:
        self.tokenizer, self.settings = tokenizer, settings
        self.encoder = ChatEncoder(tokenizer, MODEL_NAME)
        self.domain = ArcDomain(DEFAULTS["grid_format"])
        self.next_step = 0
        self.left_S = [NEW] * settings.tasks

    def resume(self, number: int, left_S: list[int]) -> None:
        """Let step `number` go on with episodes that have so many steps left."""
        self.next_step, self.left_S = number, list(left_S)

    def __call__(self, number: int) -> StepData:
        """What step `number` reads."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, number])
        if settings.synchronous:
            first = [self._begin(task, rng) for task in range(settings.tasks)]
            starts = [first, *([] for _ in range(max(len(start.episode.batches_S) for start in first) - 1))]
        else:
            starts = self._refilled(number, rng)
        plain = batch_rows(self.tokenizer, settings.stream, number)
        written = settings.self_edits if number % settings.self_edit_every == 0 else 0
        return StepData(
            plain, [self_edit_row(self.encoder, self.domain, rng, settings.read_task) for _ in range(written)], starts
        )

    def _refilled(self, number: int, rng: np.random.Generator) -> list[list[Start]]:
        """New episodes in the places of those that are done; at first, with beginnings spread over time."""
        if number != self.next_step:
            self.left_S = [NEW] * self.settings.tasks
        self.next_step = number + 1
        starts: list[list[Start]] = []
        for _ in range(self.settings.accumulate):
            starts.append([self._begin(task, rng, left == NEW) for task, left in enumerate(self.left_S) if left <= 0])
            for start in starts[-1]:
                self.left_S[start.task] = len(start.episode.batches_S)
            self.left_S = [left - 1 for left in self.left_S]
        return starts

    def _begin(self, task: int, rng: np.random.Generator, shortened: bool = False) -> Start:
        """An episode, of which a part at random if it is `shortened`."""
        episode = draw_episode(self.encoder, self.domain, self.settings.episodes, rng)
        if shortened:
            episode.batches_S = episode.batches_S[: int(rng.integers(1, len(episode.batches_S) + 1))]
        asked = None if self.settings.ask_always else self.settings.episodes.ask
        return Start(task, int(rng.integers(2**31)), episode.trimmed(asked))
