"""SealContinualEnv: one task after another, and what is learned stays."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

import gymnasium
import numpy as np

from seal_env.envs.base import SealBaseEnv, without_unknown
from seal_env.episodes.continual import ContinualRuntime
from seal_env.episodes.episode import Episode
from seal_env.episodes.retention import RetentionMatrix
from seal_env.episodes.sequence import NOTHING_LEARNED, TaskSequence
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.types import Query, Step

if TYPE_CHECKING:
    from seal_env.inner_loop.continual.model import AdaptedModel


FORGOT: Final = "this environment was closed or unpickled, which loses what its model has learned (copy.deepcopy keeps it)"


class SealContinualEnv(SealBaseEnv):
    """Continual self-adaptation: a sequence of tasks, each learned for good (arXiv 2506.10943, section 5).

    ## Episode
    A sequence of `sequence` tasks of any domain. The observation is the prompt for the current task; when a self-edit is
    closed, its update is trained and merged into the model, and the next observation is the prompt for the next task. A
    self-edit with a mistake in the last turn of a task leaves the model as it is, and the sequence continues. `reset`
    restores the base model, bit by bit.

    ## Reward
    For every self-edit, by the setting `reward_over`: `seen`, the mean score over all tasks so far; `new`, the score on the
    new task; `change`, the change of the mean over these tasks. The score is that of the setting `reward`.

    ## Episode end
    Terminated after the last task. Truncated, with reward NaN and the outcome `out_of_memory` or `engine_error`, after an
    infrastructure failure: drop such an episode, it says nothing about the agent.

    ## Info
    That of SealEnv for the current task, and `position` (tasks done), `sequence` (their ids), `retention` (the matrix so
    far: row k after k updates, a column per task, None where it was not evaluated), `merged`. With the end of the sequence
    alone come `gold`, a list for each task, and `retention_predictions`, the answers that the cells of the matrix are scores
    of: until then the same queries are asked again.

    Where documents of earlier tasks can be rehearsed (`max_rehearsed`), `rehearsal` lists what there is of each: `number`,
    `task_id`, `documents` and their `tokens`; `rehearsed` and `rehearsed_tokens` are what an update has taken of it.

    `model` is the model as it is now: `env.unwrapped.model.save(directory)` writes it for transformers and vLLM.
    `roll_back` undoes the last merge; see the wrapper `ForgettingGate`.

    ## Copies
    `copy.deepcopy` gives an environment that continues exactly, with a model of its own. A pickle does not contain what the
    model has learned, so an environment that is unpickled has to be reset.
    """

    runtime: ContinualRuntime

    def __init__(self, render_mode: str | None = None, *, runtime: ContinualRuntime | None = None, **settings: Any) -> None:
        """Make an environment.

        Args:
            render_mode: `ansi`, `rgb_array` or None.
            runtime: Instead of settings.
            **settings: See `seal_env.settings.Settings` and the domain's options.

        Raises:
            SettingError, UnknownTaskError, TaskError: For settings that are not legal and task sets that do not load.
        """
        self.runtime = runtime or ContinualRuntime(Settings.resolve(**settings))
        super().__init__(self.runtime, render_mode)
        length = self.settings.sequence
        if length < 2:
            raise SettingError("sequence", length, "2 or more in SEAL-Continual-v0")
        if len(self.taskset) < length:
            raise SettingError("sequence", length, f"at most {len(self.taskset)}: {self.settings.subset!r}")
        self.keeps_undo = False
        """Whether a merge can be rolled back; it takes a copy of the weights that change."""
        self._sequence: TaskSequence | None = None
        self._forgot = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Without the sequence: it would be of no use without what the model has learned, which is as large as a model."""
        return vars(self) | {"_sequence": None, "_forgot": self._forgot or self._sequence is not None}

    @property
    def sequence(self) -> TaskSequence:
        """The current sequence. Raises ResetNeeded before the first `reset`."""
        if self._sequence is None:
            raise gymnasium.error.ResetNeeded(f"{self._no_sequence}: call reset() first")
        return self._sequence

    @property
    def _no_sequence(self) -> str:
        return FORGOT if self._forgot else "no sequence was started"

    @property
    def episode(self) -> Episode | None:
        """The episode of the current task; None before the first `reset`."""
        return self._sequence.episode if self._sequence else None

    @property
    def position(self) -> int:
        """How many tasks of the sequence are done."""
        return self.sequence.position

    @property
    def retention(self) -> RetentionMatrix:
        """Scores on each task after each update."""
        return self.sequence.retention

    @property
    def model(self) -> AdaptedModel:
        """The model as it is now; loaded by the first `reset`."""
        return self.runtime.model

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a sequence with the base model.

        Args:
            seed: Seeds everything random; None continues the current random stream.
            options: {"task_ids": [...]} chooses the tasks; {"task_id": ...} the first one, and those after it in the task
                set follow. Otherwise tasks come in a seeded order. {"keep": True}: continue with the model as it is now.

        Raises:
            UnknownTaskError, SettingError: For tasks or options that do not exist.
            ModelError, UpdateError: If the model does not load or cannot be evaluated.
        """
        self._begin(seed)
        chosen = without_unknown(
            options, "{'task_ids': [...]}, {'task_id': ...}, {'keep': True}", {"task_id", "task_ids", "keep"}
        )
        keep = chosen.get("keep", False)
        if not isinstance(keep, bool | np.bool_):
            raise SettingError("keep", keep, "True or False")
        if keep and self._forgot:
            raise SettingError("keep", True, f"False: {FORGOT}")
        self.runtime.load()
        if not keep:
            self.runtime.consolidation.reset()
        self._forgot = False
        tasks = [self.taskset[task_id] for task_id in self._choose(chosen)]
        kept = self._sequence.rehearsal if self._sequence and keep else NOTHING_LEARNED
        self._sequence = TaskSequence(self.runtime, tasks, self._episode_seed(), self.keeps_undo, kept)
        return self._sequence.opening()

    def _choose(self, options: Mapping[str, Any]) -> list[str]:
        length, ids = self.settings.sequence, self.taskset.task_ids
        if len(ids) < length:
            raise SettingError("sequence", length, f"at most {len(ids)}, the tasks that are not too long for the model")
        if "task_ids" in options:
            chosen = [str(task_id) for task_id in options["task_ids"]]
            if len(chosen) != length or len(set(chosen)) < len(chosen):
                raise SettingError("task_ids", chosen, f"{length} different task ids, as `sequence` says")
            for task_id in chosen:
                if problem := self.runtime.problem_of(self.taskset[task_id]):
                    raise SettingError("task_ids", task_id, f"tasks that are not too long for the model: {problem}")
            return chosen
        if "task_id" in options:
            task = self.taskset[str(options["task_id"])]
            if task.task_id not in ids:
                legal = f"a task of the task set. {self.runtime.problem_of(task)}".rstrip()
                raise SettingError("task_id", task.task_id, legal)
            first = ids.index(task.task_id)
            return [ids[(first + offset) % len(ids)] for offset in range(length)]
        found: list[str] = []
        while len(found) < length:
            found += [task_id for task_id in [self._next_task().task_id] if task_id not in found]
        return found

    def step(self, action: Any) -> Step:
        """Take one action; one that closes the self-edit also merges its update and evaluates all tasks so far."""
        if self._sequence is None or self._forgot or self._sequence.over:
            why = self._no_sequence if self._sequence is None or self._forgot else "the sequence is over"
            raise gymnasium.error.ResetNeeded(f"{why}: call reset() before step()")
        self._sequence.keeps_undo = self.keeps_undo
        return self._sequence.play(action)

    def close(self) -> None:
        """Delete temporary files and let go of the model; the sequence cannot be continued."""
        self._forgot |= self._sequence is not None
        super().close()
        self.runtime.close()

    def queries(self, learned: int) -> tuple[Query, ...]:
        """All queries of the first `learned` tasks of the sequence."""
        return self.sequence.queries(learned)

    def roll_back(self) -> tuple[float, dict[str, Any]]:
        """Undo the last merge; see `TaskSequence.roll_back`."""
        return self.sequence.roll_back()

    def take_back(self) -> None:
        """Undo the last merge and return to its task; see `TaskSequence.take_back`."""
        self.sequence.take_back()
