"""What SealEnv and SealContinualEnv share: spaces, the order of the tasks, and rendering."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import gymnasium
import numpy as np

from seal_env.envs import shared_texts  # noqa: F401 (Gymnasium learns how processes share texts)
from seal_env.envs.spaces import PromptSpace, SelfEditSpace
from seal_env.episodes.episode import Episode
from seal_env.episodes.fitting import warn_of
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, TaskError, needs_extra
from seal_env.self_edits.compile import affordable_epochs
from seal_env.settings import Settings
from seal_env.tools.base import Tool
from seal_env.tools.common.training import TRAINING
from seal_env.types import Task, TaskDomain, Taskset

MAX_BASE_ANSWERS: Final = 1000
"""Evaluations of the base model that an environment caches."""


class SealBaseEnv(gymnasium.Env[str, str], ABC):
    """Base of the environments.

    Args:
        runtime: What the episodes have in common.
        render_mode: `ansi`, `rgb_array` or None.

    Raises:
        SettingError: For an unknown render mode.
    """

    runtime: Runtime

    metadata: dict[str, Any] = {  # noqa: RUF012 (declared so by Gymnasium)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 1,
    }

    def __init__(self, runtime: Runtime, render_mode: str | None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SettingError("render_mode", render_mode, "'ansi', 'rgb_array' or None")
        self.render_mode = render_mode
        self.action_space: gymnasium.Space[str] = action_space(runtime)
        self.observation_space: gymnasium.Space[str] = PromptSpace()
        self._order: list[str] = []
        self._too_long: set[str] = set()
        self._drawn_from: np.random.Generator | None = None

    @property
    def settings(self) -> Settings:
        """What the environment was made with."""
        return self.runtime.settings

    @property
    def domain(self) -> TaskDomain:
        """How its tasks are rendered and scored."""
        return self.runtime.domain

    @property
    def tools(self) -> tuple[Tool[Any], ...]:
        """The tools of a self-edit."""
        return self.runtime.tools

    @property
    @abstractmethod
    def episode(self) -> Episode | None:
        """The current episode; None before the first `reset`."""

    @property
    def last_timings(self) -> dict[str, float]:
        """Seconds by phase of the current episode, of those phases that it had."""
        return self.episode.timings if self.episode else {}

    @property
    def taskset(self) -> Taskset[Any, Any]:
        """The tasks; once the model is loaded, by the first `reset`, those that are not too long for it."""
        return self.runtime.taskset

    def _next_task(self) -> Task[Any, Any]:
        """The next task in a seeded order, each once a round; one that is too long for the model is left out."""
        tasks = self.runtime.all_tasks
        while True:
            if not self._order:
                order = self.np_random.permutation(len(tasks)).tolist()
                self._order = [tasks.task_ids[index] for index in reversed(order)]
            task = tasks[self._order.pop()]
            problem = self.runtime.problem_of(task)
            if not problem:
                return task
            if task.task_id not in self._too_long:
                self._too_long.add(task.task_id)
                warn_of({task.task_id: problem}, tasks.name, len(tasks))
            if len(self._too_long) == len(tasks):
                raise TaskError(f"no task of {tasks.name} fits the model: {task.task_id}: {problem}")

    def _begin(self, seed: int | None) -> None:
        """Seed everything random, if there is a seed, and restart the order of the tasks."""
        super().reset(seed=seed)
        if seed is not None:
            self._order = []

    def _episode_seed(self) -> int:
        """The seed of a seeded `reset` for the first episode after it, then numbers of the stream that it seeded."""
        stream = self.np_random
        fresh, self._drawn_from = stream is not self._drawn_from, stream
        seed = int(self.np_random_seed)  # negative for a stream that somebody else has made
        return _within_63_bits(seed) if fresh and seed >= 0 else int(stream.integers(2**31))

    def close(self) -> None:
        """End what the environment has in other processes, unless other environments use it too."""
        self.runtime.close()

    def render(self) -> Any:
        """Draw the task: `ansi` gives text with coloured cells, `rgb_array` uint8 [720, 1280, 3].

        Demonstrations (input, output), then for each test input: the input and, once the episode is over, the base model's
        prediction, the updated model's, both marked right or wrong, and the gold output. Texts are a table.
        """
        if self.render_mode is None:
            raise SettingError("render_mode", None, "'ansi' or 'rgb_array', given to gym.make")
        if self.episode is None:
            raise gymnasium.error.ResetNeeded("call reset() before render()")
        rows = self.episode.panels()
        with needs_extra("render"):
            if self.render_mode == "ansi":
                from seal_env.envs.render import panels_ansi

                return panels_ansi(rows)
            from seal_env.envs.frames import frame
        return frame(rows, self.episode.caption)


def action_space(runtime: Runtime) -> SelfEditSpace:
    """Self-edits with the runtime's tools; epochs are sampled as the budget affords them."""
    most = min(3, affordable_epochs(runtime.settings.budget, runtime.settings.recipe.batch_size))
    ranges = {"training.num_train_epochs": (min(1, most), most)} if TRAINING in runtime.tools else None
    return SelfEditSpace(runtime.tools, ranges, runtime.spec.reads_plain_text)


def without_unknown(options: Any, known: str, names: set[str]) -> dict[str, Any]:
    """The options of `reset` as a dict. Raises SettingError for an unknown one."""
    if not isinstance(options or {}, Mapping):
        raise SettingError("options", options, known)
    given = dict(options or {})
    if unknown := set(given) - names:
        raise SettingError("options", sorted(unknown), known)
    return given


def _within_63_bits(seed: int) -> int:
    """A seed of any size as one below 2**63: itself below 2**32, a hash of it beyond, as PyTorch reads 32 bits on CPUs."""
    if seed < 2**32:
        return seed
    hashed = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    return 2**32 + hashed % (2**63 - 2**33)
