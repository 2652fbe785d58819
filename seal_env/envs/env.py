"""SealEnv: one self-edit, one real weight update, one reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from seal_env.envs.base import MAX_BASE_ANSWERS, SealBaseEnv, without_unknown
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.types import Step


class SealEnv(SealBaseEnv):
    """SEAL as an environment: an action says how a language model fine-tunes itself on a task; the reward is its accuracy.

    ## Description
    Each episode is one task. The agent reads its context (ARC: demonstrations; knowledge: a passage) and answers with a
    self-edit: JSON tool calls that specify training data and hyperparameters. The environment runs the weight update on the
    frozen base model and evaluates the updated model on the task's queries (arXiv 2506.10943).

    ## Action
    A JSON text: a list of `{"name", "arguments"}`, one such object, an OpenAI assistant message or its `tool_calls`, or the
    paper's object with `data_generation` and `training`. Domains of text also read plain text, one document per line. The
    tools are those of the domain; `seal-env tools --domain NAME` shows them. `finetune` is always the last. In ARC:

    | tool | arguments |
    |---|---|
    | `augment` | `use_X_augmentations` for X in `basic`, `size`, `chain`, `repeat`: true or false |
    | `training` | `strategy`, `learning_rate` in (0, 1], `num_train_epochs` 0..20 |
    | `finetune` | none; ends the episode |

    ## Observation
    Text: after `reset` the task, the tools and the budget; after a step without `finetune` the tools' reply, or what was
    wrong with the action. Queries and their answers never appear in it.

    ## Reward
    0 for a step that only prepares; `invalid_reward` (0) for one with a mistake, which leaves the draft as it was. After
    `finetune`, by the setting `reward`: `accuracy` = queries solved / queries; `gain` = accuracy - the base model's
    accuracy; `solved` = 1 if all are solved; the domain's partial credit (ARC: `cell_accuracy`); or a callable of your own.
    An update that diverged and a self-edit that is empty or over the budget receive `invalid_reward`.

    ## Episode end
    Terminated by `finetune`, or after `max_turns` actions. Truncated, with reward NaN and the outcome `out_of_memory` or
    `engine_error`, after an infrastructure failure: drop such an episode, it says nothing about the agent. The same holds
    for `task_too_long`: a query of a task chosen by id is too long for the model; such tasks are never drawn.

    ## Info
    Always: `task_id`, `turn`, `outcome` (see Outcome), `reason`, and as data `task` (domain, text, data), `budget` and
    `segment`. After `finetune` also the self-edit as understood, its size, the losses, accuracies and predictions before and
    after, and the gold answers. Nothing differs between equal runs: timings (seconds) are in `env.unwrapped.last_timings`.

    ## Seeds
    `reset(seed=...)` fixes the order of tasks, the augmentation, the adapter's initial weights and the order of training
    examples, of this episode and of those after it: `reset()` without a seed continues the random stream, so that each
    episode has its own seed. `reset(options={"task_id": ...})` chooses the task.

    ## Copies
    `copy.deepcopy` and `pickle` give an environment that continues exactly, in the middle of an episode too: task, draft,
    turns and random streams are copied. A copy shares the loaded model; a pickle has the settings alone, and the model is
    loaded again where it is needed. In `gymnasium.vector.AsyncVectorEnv` each process has a model of its own: start them
    with `context="spawn"` or `"forkserver"` on a GPU. A forked process computes with one thread.

    ## Registered ids
    `SEAL-ARC-v0` (12 tasks of ARC-AGI-1 by default), `SEAL-ARC-Mini-v0` (generated, grids up to 4x4), `SEAL-Knowledge-v0`
    (passages), `SEAL-Reasoning-v0` (reasoning-gym), `SEAL-Custom-v0` (your own tasks). `gymnasium.make_vec` makes a
    SealVectorEnv of them, in which many episodes train together. `SEAL-Continual-v0` is a SealContinualEnv.

    ## Cost
    An update is up to 375 optimizer steps and `max_training_tokens` tokens: seconds for the bundled models on two cores, a
    minute where the budget of tokens is used up; half a minute for a model of 1 B parameters on a GPU (estimated; not
    measured yet). More is the outcome `over_budget`, before anything is trained.
    """

    def __init__(self, render_mode: str | None = None, *, runtime: Runtime | None = None, **settings: Any) -> None:
        """Make an environment.

        Args:
            render_mode: `ansi`, `rgb_array` or None.
            runtime: What this environment shares with others that run together with it, instead of settings of its own.
            **settings: See `seal_env.settings.Settings` and the domain's options.

        Raises:
            SettingError, UnknownTaskError, TaskError: For settings that are not legal and task sets that do not load.
        """
        self.runtime = runtime or Runtime(Settings.resolve(**settings))
        super().__init__(self.runtime, render_mode)
        if self.settings.sequence > 1:
            raise SettingError("sequence", self.settings.sequence, "2 or more in SEAL-Continual-v0, 1 anywhere else")
        self._episode: Episode | None = None
        self._base = BaseAnswerCache(MAX_BASE_ANSWERS)

    @property
    def episode(self) -> Episode | None:
        """The current episode; None before the first `reset`."""
        return self._episode

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds everything random; None continues the current random stream.
            options: {"task_id": ...} chooses the task; without it tasks come in a seeded order, each once a round.

        Raises:
            UnknownTaskError, SettingError: For a task or an option that does not exist.
            ModelError: If the model does not load.
        """
        self._begin(seed)
        chosen = without_unknown(options, "{'task_id': ...}", {"task_id"})
        self.runtime.load()
        task = self.taskset[str(chosen["task_id"])] if chosen else self._next_task()
        self._episode = Episode(self.runtime, task, self._episode_seed())
        return self._episode.opening()

    def step(self, action: Any) -> Step:
        """Take one action. Whatever the agent writes is an outcome, never an exception."""
        if self._episode is None or self._episode.over:
            raise gymnasium.error.ResetNeeded("the episode is over (or none was started): call reset() before step()")
        return play([self._episode], [action], self._base)[0]
