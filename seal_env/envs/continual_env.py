"""SealContinualEnv: one task after the other, and what is learned stays.

Each task of a sequence is played like an episode of SealEnv, but its update is merged into the model, which the next task
then starts from. After every update all tasks so far are asked again.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gymnasium

from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import (
    FAILED_REWARD,
    BaseAnswerCache,
    BaseAnswers,
    Episode,
    PendingUpdate,
    Runtime,
    Step,
    settle,
)
from seal_env.episodes.retention import RetentionMatrix
from seal_env.episodes.reward import score
from seal_env.errors import SettingError, UpdateError
from seal_env.settings import Settings
from seal_env.types import Query, Task

ALL_KEPT: Final = 10_000


class ContinualRuntime(Runtime):
    """A runtime whose model learns for good. `model`: see `seal_env.inner_loop.continual.model`."""

    model: Any = None

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._updates = Path(tempfile.mkdtemp(prefix="seal-continual-"))
        weakref.finalize(self, shutil.rmtree, self._updates, ignore_errors=True)
        self.written: Path | None = None

    def load(self) -> None:
        """Copy the base model and train with this copy. Raises ModelError."""
        if self.model is None:
            from seal_env.inner_loop.continual.model import AdaptedModel
            from seal_env.inner_loop.model.frozen_lm import load_base_model

            self.model = AdaptedModel(load_base_model(self.settings.model, self.settings.device))
            self.use(self.model.inner_loop(self.settings.inner_loop))

    def adapter_directory(self, task_id: str) -> Path:
        """Where the update of the task at hand is written: for good if adapters are saved, else until it is merged."""
        kept = super().adapter_directory(task_id)
        self.written = kept or self._updates / "update"
        return self.written

    def merge(self, undo: bool) -> Any:
        """Take what was written into the model. The snapshot from before, if it can be undone."""
        assert self.written is not None
        before = self.model.snapshot() if undo else None
        self.model.merge(self.written)
        self.forget_written()
        return before

    def forget_written(self) -> None:
        """Delete what was written, unless it is saved."""
        if self.written is not None and self.settings.save_adapters is None:
            shutil.rmtree(self.written, ignore_errors=True)
        self.written = None


class SealContinualEnv(SealEnv):
    """Continual self-adaptation: a sequence of tasks, each learned for good (arXiv 2506.10943, section 5).

    ## Episode
    A sequence of `sequence` tasks, of whichever domain. The observation is the prompt for the task at hand; a self-edit that
    is closed is trained, merged into the model, and the next observation is the prompt for the next task. A self-edit with
    a mistake in the last turn of a task leaves the model as it is, and the sequence goes on. `reset` restores the base
    model, bit by bit.

    ## Reward
    For every self-edit, by the setting `reward_over`: `seen`, the mean score on all tasks so far; `new`, the score on the
    task at hand; `change`, by how much the mean over these tasks rose. The score is that of the setting `reward`.

    ## Info
    As SealEnv's, of the task at hand, and `position` (tasks done), `sequence` (their ids), `retention` (the matrix so far:
    row k after k updates, a column a task, None where it was not asked), `merged`.

    `model` is the model as it is by now: `env.unwrapped.model.save(directory)` writes it for transformers and vLLM.
    `roll_back` undoes the last merge; see the wrapper `ForgettingGate`.
    """

    runtime: ContinualRuntime
    sequences = True

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """See `seal_env.settings.Settings`. Raises SettingError, UnknownTaskError or TaskError."""
        runtime = ContinualRuntime(Settings.resolve(**settings))
        super().__init__(render_mode, runtime=runtime)
        if len(self.taskset) < self.settings.sequence:
            raise SettingError("sequence", self.settings.sequence, f"at most {len(self.taskset)}: {self.settings.subset!r}")
        self.keeps_undo = False
        """Whether a merge can be rolled back; it takes a copy of the weights that change."""
        self.retention = RetentionMatrix(())
        self._tasks: tuple[Task[Any, Any], ...] = ()
        self._answers: dict[int, BaseAnswers] = {}
        self._position = 0
        self._before: tuple[Any, dict[int, BaseAnswers]] | None = None
        self._seed = 0

    @property
    def position(self) -> int:
        """How many tasks of the sequence are done."""
        return self._position

    @property
    def model(self) -> Any:
        """The AdaptedModel; loaded by the first `reset`."""
        return self.runtime.model

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a sequence with the base model.

        options: {"task_ids": [...]} chooses the tasks; {"task_id": ...} the first one, and those after it in the task set
        follow. Otherwise tasks come in a seeded order. {"keep": True}: go on with the model as it is by now. Raises
        UnknownTaskError, SettingError for other options, ModelError, and UpdateError if the model cannot be asked.
        """
        gymnasium.Env.reset(self, seed=seed)
        options = dict(options or {})
        if unknown := set(options) - {"task_id", "task_ids", "keep"}:
            raise SettingError("options", sorted(unknown), "{'task_ids': [...]}, {'task_id': ...}, {'keep': True}")
        if seed is not None:
            self._order = []
        self.runtime.load()
        if not options.get("keep", False):
            self.model.reset()
        self._tasks = tuple(self.taskset[task_id] for task_id in self._choose(options))
        self._seed = int(self.np_random_seed) % 2**31
        self.retention = RetentionMatrix(tuple(task.task_id for task in self._tasks))
        self._position, self._answers, self._before = 0, {}, None
        self._ask_for_sure(range(len(self._tasks)))
        self.retention.add([self._score(number) for number in range(len(self._tasks))])
        return self._open()

    def _choose(self, options: Mapping[str, Any]) -> list[str]:
        if "task_ids" in options:
            chosen = [str(task_id) for task_id in options["task_ids"]]
            if len(chosen) != self.settings.sequence or len(set(chosen)) < len(chosen):
                raise SettingError("task_ids", chosen, f"{self.settings.sequence} different task ids, as `sequence` says")
            return chosen
        if "task_id" in options:
            ids = self.taskset.task_ids
            first = ids.index(self.taskset[str(options["task_id"])].task_id)
            return [ids[(first + number) % len(ids)] for number in range(self.settings.sequence)]
        found: list[str] = []
        while len(found) < self.settings.sequence:
            found += [task_id for task_id in [self._next_task().task_id] if task_id not in found]
        return found

    def _open(self) -> tuple[str, dict[str, Any]]:
        self.episode = Episode(self.runtime, self._tasks[self._position], self._seed + self._position)
        observation, info = self.episode.opening()
        return observation, info | self._about()

    def _about(self) -> dict[str, Any]:
        return {
            "position": self._position,
            "sequence": list(self.retention.task_ids),
            "retention": self.retention.as_lists(),
        }

    def step(self, action: Any) -> Step:
        """Take one action; one that closes the self-edit also merges it and asks all tasks so far."""
        episode = self.episode
        if episode is None or episode.over or self._position >= len(self._tasks):
            raise gymnasium.error.ResetNeeded("the sequence is over (or none was started): call reset() before step()")
        decision = episode.decide(action)
        if not isinstance(decision, PendingUpdate):
            if not decision[2]:
                return (*decision[:4], decision[4] | self._about())
            return self._advance(decision, trained=False)
        kept = BaseAnswerCache(ALL_KEPT)
        kept.keep(episode.base_key, self._answers[self._position])
        return self._advance(settle([episode], [decision], kept)[0], trained=True)

    def _advance(self, step: Step, trained: bool) -> Step:
        """Merge what was trained, ask again, and go on to the next task."""
        reply, reward, _, truncated, info = step
        if truncated:
            self.runtime.forget_written()
            return reply, reward, False, True, info | self._about() | {"merged": False}
        merged = trained and info["accuracy_after"] is not None and info["optimizer_steps"] > 0
        self._before = (None, dict(self._answers))
        if merged:
            self._before = (self.runtime.merge(self.keeps_undo), dict(self._answers))
        else:
            self.runtime.forget_written()
        self._position += 1
        asked = range(min(self._position + 1, len(self._tasks)))
        failure = self._ask(asked if merged else asked[self._position :])
        if failure is not None:
            failed = {"outcome": str(failure.result.outcome), "reason": failure.result.reason}
            return failed["reason"], FAILED_REWARD, False, True, info | failed | self._about() | {"merged": merged}
        self.retention.add([self._score(number) if number <= self._position else None for number in range(len(self._tasks))])
        if trained and merged:
            reward = self._reward()
        return self._go_on(reply, reward, info | {"merged": merged})

    def _go_on(self, reply: str, reward: float, info: dict[str, Any]) -> Step:
        if self._position == len(self._tasks):
            return reply, reward, True, False, info | self._about()
        observation, _ = self._open()
        return observation, reward, False, False, info | self._about()

    def _reward(self) -> float:
        """What the update just merged, or taken back, is worth."""
        matrix, done = self.retention, self._position
        if self.settings.reward_over == "new":
            return float(matrix.rows[done][done - 1] or 0.0)
        if self.settings.reward_over == "seen":
            return matrix.seen(done)
        after, before = matrix.rows[done][:done], matrix.rows[done - 1][:done]
        return sum((b or 0.0) - (a or 0.0) for a, b in zip(before, after, strict=True)) / done

    def _ask(self, numbers: Sequence[int]) -> BaseAnswers | None:
        """Ask the model as it is by now about these tasks of the sequence; the first failure of the machine, if any."""
        episodes = [Episode(self.runtime, self._tasks[number], self._seed + number) for number in numbers]
        results = self.runtime.inner_loop.run([episode.base_job() for episode in episodes]) if episodes else []
        for number, episode, result in zip(numbers, episodes, results, strict=True):
            answers = episode.base_answers(result)
            if answers.evaluation is None:
                return answers
            self._answers[number] = answers
        return None

    def _ask_for_sure(self, numbers: Sequence[int]) -> None:
        """`_ask` where there is no step that a failure could end. Raises UpdateError."""
        failure = self._ask(numbers)
        if failure is not None:
            raise UpdateError(f"the model could not be asked: {failure.result.outcome}: {failure.result.reason}")

    def _score(self, number: int) -> float | None:
        evaluation = self._answers[number].evaluation
        return None if evaluation is None else score(self.settings.reward, evaluation)

    def queries(self, learned: int) -> tuple[Query, ...]:
        """All queries of the first `learned` tasks of the sequence."""
        return tuple(
            query
            for number, task in enumerate(self._tasks[:learned])
            for query in self.domain.queries(task, self._seed + number)
        )

    def roll_back(self) -> tuple[float, dict[str, Any]]:
        """Undo the last merge, bit by bit: the reward without it, and what changes in the info.

        Raises SettingError unless `keeps_undo` was set before that step, and UpdateError if the model cannot be asked.
        """
        if self._before is None or self._before[0] is None:
            raise SettingError("keeps_undo", self.keeps_undo, "True before the step that is to be rolled back")
        snapshot, self._answers = self._before
        self._before = None
        self.model.restore(snapshot)
        self._ask_for_sure([self._position] if self._position < len(self._tasks) else [])
        self.retention.replace_last(
            [self._score(number) if number <= self._position else None for number in range(len(self._tasks))]
        )
        return self._reward(), {"merged": False, "rolled_back": True, **self._about()}
