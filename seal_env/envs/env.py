"""SealEnv: one self-edit, one real weight update, one reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from seal_env.envs.render import panels_ansi, panels_pixels
from seal_env.envs.spaces import PromptSpace, SelfEditSpace
from seal_env.episodes.episode import BaseAnswerCache, Episode, Runtime, Step, play
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.types import Task

MAX_BASE_ANSWERS: Final = 1000
"""Evaluations of the base model that an environment keeps."""


class SealEnv(gymnasium.Env[str, str]):
    """SEAL on ARC: decide how a language model fine-tunes itself on a task, and be paid its accuracy afterwards.

    ## Description
    Each episode is one task. The agent reads its demonstrations and answers with a self-edit: JSON tool calls that say how
    to make training examples from the demonstrations and how to train on them. The environment then trains a LoRA adapter
    on the frozen base model for real and asks the test inputs of the updated model (arXiv 2506.10943, section 3.2).

    ## Action
    A JSON text. Accepted are a list of `{"name", "arguments"}`, one such object, an OpenAI assistant message or its
    `tool_calls`, and the paper's object with `data_generation` and `training`.

    | tool | arguments |
    |---|---|
    | `augment` | `use_X_augmentations` for X in `basic`, `size`, `chain`, `repeat`: true or false |
    | `training` | `strategy`, `learning_rate` in (0, 1], `num_train_epochs` 0..20 |
    | `finetune` | none; ends the episode |

    ## Observation
    Text: after `reset` the demonstrations, the tools and the budget; after a step without `finetune` the tools' reply, or
    what was wrong with the action. Test inputs and their outputs never appear in it.

    ## Reward
    0 for a step that only prepares; `invalid_reward` (0) for one with a mistake, which leaves the draft as it was. After
    `finetune`, by the setting `reward`: `accuracy` = test inputs solved / test inputs; `gain` = accuracy - the base model's
    accuracy; `solved` = 1 if all are solved; `cell_accuracy` = mean share of right cells. An update that diverged and a
    self-edit that is empty or over the budget earn `invalid_reward`.

    ## Episode end
    Terminated by `finetune`, or after `max_turns` actions. Truncated, with the reward nan and the outcome `out_of_memory`
    or `engine_error`, when the machine failed: such an episode says nothing about the agent and is to be dropped.

    ## Info
    `task_id`, `turn`, `outcome` (see Outcome) and `reason` always. After `finetune` also the self-edit as understood, its
    size, the losses, accuracies and predictions before and after, and the gold grids. Nothing that differs between equal
    runs: timings (seconds) are in `env.unwrapped.last_timings`.

    ## Seeds
    `reset(seed=...)` fixes the order of tasks, the augmentation, the adapter's initial weights and the order of training
    examples. `reset(options={"task_id": ...})` chooses the task.

    ## Registered ids
    `SEAL-ARC-v0` (12 tasks of ARC-AGI-1 by default), `SEAL-ARC-Mini-v0` (generated, grids up to 4x4). `gymnasium.make_vec`
    makes a SealVectorEnv of them, in which many episodes train together.

    ## Cost
    An update is up to 375 optimizer steps: seconds for the bundled model on two cores, half a minute for a model of 1 B
    parameters on a GPU.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (declared so by Gymnasium)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 1,
    }
    sequences = False
    """Whether an episode is a sequence of tasks."""

    def __init__(self, render_mode: str | None = None, *, runtime: Runtime | None = None, **settings: Any) -> None:
        """See `seal_env.settings.Settings` for the settings. Raises SettingError, UnknownTaskError or TaskError.

        runtime: what this environment shares with others that run together with it, instead of settings of its own.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SettingError("render_mode", render_mode, "'ansi', 'rgb_array' or None")
        self.render_mode = render_mode
        self.runtime = runtime or Runtime(Settings.resolve(**settings))
        if type(self).sequences != (self.runtime.settings.sequence > 1):
            raise SettingError("sequence", self.runtime.settings.sequence, "2 or more in SEAL-Continual-v0, 1 anywhere else")
        self.settings, self.taskset, self.domain = self.runtime.settings, self.runtime.taskset, self.runtime.domain
        budget = self.settings.budget
        affordable = min(((budget.max_steps + 1) * self.settings.recipe.batch_size - 1) // budget.max_examples, 20)
        epochs = (min(1, affordable), min(3, affordable))
        self.action_space: gymnasium.Space[str] = SelfEditSpace(
            self.runtime.tools, num_train_epochs=epochs, texts=self.domain.reads_plain_text
        )
        self.observation_space: gymnasium.Space[str] = PromptSpace()
        self.episode: Episode | None = None
        self._base = BaseAnswerCache(MAX_BASE_ANSWERS)
        self._order: list[str] = []

    @property
    def last_timings(self) -> dict[str, float]:
        """Seconds by phase of the episode, of those phases that it had."""
        return self.episode.timings if self.episode else {}

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode.

        options: {"task_id": ...} chooses the task; without it tasks come in a seeded order, each once a round.
        Raises UnknownTaskError, SettingError for other options, and ModelError if the model does not load.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._order = []
        unknown = set(options or {}) - {"task_id"}
        if unknown:
            raise SettingError("options", sorted(unknown), "{'task_id': ...}")
        self.runtime.load()
        task = self.taskset[str(options["task_id"])] if options and "task_id" in options else self._next_task()
        self.episode = Episode(self.runtime, task, int(self.np_random_seed) % 2**31)
        return self.episode.opening()

    def _next_task(self) -> Task[Any, Any]:
        if not self._order:
            order = self.np_random.permutation(len(self.taskset)).tolist()
            self._order = [self.taskset.task_ids[index] for index in reversed(order)]
        return self.taskset[self._order.pop()]

    def step(self, action: Any) -> Step:
        """Take one action. Whatever the agent writes is an outcome, never an exception."""
        if self.episode is None or self.episode.over:
            raise gymnasium.error.ResetNeeded("the episode is over (or none was started): call reset() before step()")
        return play([self.episode], [action], self._base)[0]

    def render(self) -> Any:
        """`ansi`: text with coloured cells; `rgb_array`: uint8 [height, width, 3].

        Demonstrations (input, output), then for each test input: the input and, once the episode is over, the base model's
        prediction, the updated model's, and the gold output.
        """
        if self.render_mode is None:
            raise SettingError("render_mode", None, "'ansi' or 'rgb_array', given to gym.make")
        if self.episode is None:
            raise gymnasium.error.ResetNeeded("call reset() before render()")
        rows = self.episode.panels()
        picture: str | NDArray[np.uint8] = panels_ansi(rows) if self.render_mode == "ansi" else panels_pixels(rows)
        return picture
