"""One stored episode, scored again: its return, and the answers with another verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seal_env.domains.base import ScoresPredictions
from seal_env.domains.rewards import paid
from seal_env.episodes.info import as_lists, gold_lists
from seal_env.episodes.retention import RetentionMatrix
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.sequence import score
from seal_env.errors import GraderError, RunFolderError, SealError, SettingError
from seal_env.experiments.rescore.settings import Scorers
from seal_env.experiments.stored_episodes import Predictions, StoredEpisode
from seal_env.types import Evaluation, Task

Rows = list[list[Evaluation | None]]
"""The scores of answers, in the form of `StoredEpisode.answers`."""


class Scoring:
    """Scores episodes of one journal. Equal answers to a task are graded once.

    Args:
        scorers: The new settings and the run's own.
        checks: Whether the rewards on record must be what the run's own settings give.

    Raises:
        SettingError: For a domain that cannot score stored answers.
    """

    def __init__(self, scorers: Scorers, checks: bool) -> None:
        self.new, self.own = scorers.new, scorers.own if checks else None
        if not isinstance(self.new.domain, ScoresPredictions):
            raise SettingError("domain", self.new.spec.name, "a domain that has score_predictions(task, predictions)")
        self._known: dict[tuple[Runtime, str, Predictions], Evaluation] = {}

    def score(self, episode: StoredEpisode) -> dict[str, Any]:
        """Old and new figures of an episode, side by side; as the result has them.

        Raises:
            RunFolderError: If its answers, or the reward on record, do not belong to its tasks.
            SettingError: For a function that is not pure.
            GraderError: If a judge cannot decide.
        """
        tasks = [self.new.taskset[task_id] for task_id in episode.task_ids]
        self._check_gold(episode, tasks)
        own = self._checked(episode, tasks)
        rows = self._rows(self.new, episode, tasks)
        changed = self._changed(episode, tasks, own, rows)
        return {
            "episode": episode.where,
            "task_id": episode.task_ids[0],
            "outcome": episode.outcome,
            "reward": {"old": episode.reward, "new": reward_of(self.new, episode, rows)},
            **{name: _accuracies(episode, own, rows, row) for row, name in enumerate(("accuracy_before", "accuracy_after"))},
            "verdicts_changed": len(changed),
            "failed": "",
            "changed": changed,
        }

    def _check_gold(self, episode: StoredEpisode, tasks: Sequence[Task[Any, Any]]) -> None:
        for task, gold in zip(tasks, episode.gold, strict=False):
            if as_lists(gold) != gold_lists(self.new, task):
                raise RunFolderError(f"{episode.where}: task {task.task_id} had other gold answers when it was recorded")

    def _checked(self, episode: StoredEpisode, tasks: Sequence[Task[Any, Any]]) -> Rows | None:
        """The scores that the run's own grader gives; None if they are not to be had."""
        if self.own is None:
            return None
        try:
            rows = self._rows(self.own, episode, tasks)
        except GraderError:  # a judge that a task names
            return None
        if not episode.failed and (found := reward_of(self.own, episode, rows)) != episode.reward:
            problem = f"its reward is {episode.reward}, but its grader and reward give {found} for the answers on record"
            raise RunFolderError(f"{episode.where}: {problem}")
        return rows

    def _rows(self, runtime: Runtime, episode: StoredEpisode, tasks: Sequence[Task[Any, Any]]) -> Rows:
        return [
            [
                None if answers is None else self._evaluation(runtime, episode.where, task, answers)
                for task, answers in zip(tasks, row, strict=True)
            ]
            for row in episode.answers
        ]

    def _evaluation(self, runtime: Runtime, where: str, task: Task[Any, Any], answers: Predictions) -> Evaluation:
        if len(answers) != len(task.queries):
            raise RunFolderError(f"{where}: {len(answers)} answers to the {len(task.queries)} queries of {task.task_id}")
        domain: Any = runtime.domain
        try:
            key = runtime, task.task_id, answers
            if key not in self._known:
                self._known[key] = domain.score_predictions(task, answers)
            return self._known[key]
        except SealError:
            raise
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise RunFolderError(f"{where}: these are no answers to {task.task_id} ({error})") from error

    def _changed(
        self, episode: StoredEpisode, tasks: Sequence[Task[Any, Any]], own: Rows | None, rows: Rows
    ) -> list[dict[str, Any]]:
        """The answers with another verdict than before."""
        found = []
        for number, row in enumerate(rows):
            for index, (task, evaluation) in enumerate(zip(tasks, row, strict=True)):
                old = _verdicts(episode, own, number, index)
                for query, (before, now) in enumerate(zip(old, evaluation.correct_Q if evaluation else (), strict=False)):
                    if before != now:
                        about = {"episode": episode.where, "task_id": task.task_id, "updates": number, "query": query}
                        found.append(about | self._texts(task, query, evaluation) | {"old": before, "new": now})
        return found

    def _texts(self, task: Task[Any, Any], query: int, evaluation: Evaluation | None) -> dict[str, Any]:
        """A query, where it is a text, its gold answer, and the model's."""
        panels = self.new.domain.panels(task, None)[-len(task.queries) :]
        question = panels[query][0][1] if query < len(panels) and panels[query] else None
        return {
            "question": question if isinstance(question, str) else None,
            "gold": gold_lists(self.new, task)[query],
            "prediction": as_lists(evaluation.predictions_Q[query]) if evaluation else None,
        }


def reward_of(runtime: Runtime, episode: StoredEpisode, rows: Rows) -> float:
    """The return of an episode by the reward of a runtime.

    Args:
        runtime: Whose reward it is.
        episode: On record.
        rows: Its scores.
    """
    if not rows:
        return episode.reward
    over = runtime.settings.reward_over
    if len(episode.task_ids) > 1:
        scores = [tuple(None if each is None else score(runtime.reward, each) for each in row) for row in rows]
        matrix = RetentionMatrix(episode.task_ids, scores)
        return sum(
            matrix.reward(update, over) if update else part
            for part, update in zip(episode.rewards, episode.updates, strict=True)
        )
    base, adapted = rows[0][0], rows[1][0]
    assert base is not None
    assert adapted is not None
    new = paid(runtime.reward, base, adapted)
    return sum(new if update else part for part, update in zip(episode.rewards, episode.updates, strict=True))


def _verdicts(episode: StoredEpisode, own: Rows | None, row: int, task: int) -> tuple[bool, ...]:
    """Which answers were right: as it is on record, or else as the run's own grader says."""
    if episode.correct:
        return episode.correct[row][task]
    evaluation = own[row][task] if own else None
    return evaluation.correct_Q if evaluation else ()


def _accuracies(episode: StoredEpisode, own: Rows | None, rows: Rows, row: int) -> dict[str, float | None]:
    """Accuracy before (row 0) or after (row 1) the update, old and new; None in a sequence, and without an update."""
    if not rows or len(episode.task_ids) > 1:
        return {"old": None, "new": None}
    evaluation, old = rows[row][0], _verdicts(episode, own, row, 0)
    return {"old": sum(old) / len(old) if old else None, "new": evaluation.accuracy if evaluation else None}
