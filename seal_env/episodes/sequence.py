"""A sequence of tasks, each learned for good: an episode for each, whose update is merged before the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from seal_env.domains.rewards import Reward, paid
from seal_env.episodes.continual import ContinualRuntime
from seal_env.episodes.episode import FAILED_REWARD, Episode, PendingUpdate
from seal_env.episodes.info import as_lists, gold_lists
from seal_env.episodes.pseudo_rehearsal import samples, sampling_queries
from seal_env.episodes.rehearsal import Rehearsal
from seal_env.episodes.retention import RetentionMatrix
from seal_env.episodes.settle import BaseAnswerCache, BaseAnswers, base_answers, settle
from seal_env.errors import SettingError, UpdateError
from seal_env.types import Evaluation, Query, Step, Task, UpdateResult

if TYPE_CHECKING:
    from seal_env.inner_loop.continual.consolidation import State

NOTHING_LEARNED: Final = Rehearsal()


class _Undo(NamedTuple):
    """What an update is undone with. state: None if nothing was merged, or if no undo is kept."""

    state: State | None
    answers: dict[int, BaseAnswers]
    rehearsal: Rehearsal


class TaskSequence:
    """Plays episodes one after another and keeps what each of them learned.

    After every merge the model answers the queries of all tasks so far, and of the next one. `retention` has the scores.

    Args:
        runtime: Whose model is changed.
        tasks: In the order in which they are learned.
        seed: Of the first episode; the others count up from it.
        keeps_undo: Whether the last merge can be rolled back, which takes a copy of the weights that change.
        rehearsal: What there is of tasks that the model has learned before.

    Raises:
        UpdateError: If the model cannot be evaluated.
    """

    def __init__(
        self,
        runtime: ContinualRuntime,
        tasks: Sequence[Task[Any, Any]],
        seed: int,
        keeps_undo: bool,
        rehearsal: Rehearsal = NOTHING_LEARNED,
    ) -> None:
        self.runtime, self.tasks, self.seed, self.keeps_undo = runtime, tuple(tasks), seed, keeps_undo
        self.rehearsal = rehearsal
        self.retention = RetentionMatrix(tuple(task.task_id for task in tasks))
        self.position = 0
        self._answers: dict[int, BaseAnswers] = {}
        self._undo: _Undo | None = None
        self._rows: list[list[Evaluation | None]] = []
        self._evaluate_or_raise(range(len(self.tasks)))
        self._add_row(len(self.tasks))
        self.episode = self._episode(0)

    @property
    def over(self) -> bool:
        """Whether every task is done, or the sequence was cut short."""
        return self.episode.over

    def opening(self) -> tuple[str, dict[str, Any]]:
        """The prompt for the current task, and its info."""
        observation, info = self.episode.opening()
        return observation, info | self._sequence_info()

    def _episode(self, index: int) -> Episode:
        rehearsal = self.rehearsal if self.runtime.settings.max_rehearsed else None
        return Episode(self.runtime, self.tasks[index], self.seed + index, rehearsal)

    def _sequence_info(self) -> dict[str, Any]:
        rehearsal = {"rehearsal": self.rehearsal.as_data()} if self.runtime.settings.max_rehearsed else {}
        return rehearsal | {
            "position": self.position,
            "sequence": list(self.retention.task_ids),
            "retention": self.retention.as_lists(),
            **{f"new_{name}": self._metric(name, self.position - 1) for name in self.runtime.spec.metrics},
            **{f"seen_{name}": self._metric(name, 0) for name in self.runtime.spec.metrics},
        }

    def _metric(self, name: str, first: int) -> float | None:
        """Mean of a further measure over the tasks learned so far, from the first one on; None before any was learned."""
        learned = [self._answers[index].evaluation for index in range(max(0, first), self.position)]
        values = [each.metrics[name] for each in learned if each is not None and name in each.metrics]
        return sum(values) / len(values) if values else None

    def play(self, action: Any) -> Step:
        """Take one action; one that closes the self-edit also merges the update and evaluates all tasks so far."""
        return self._answers_at_the_end(self._play(action))

    def _answers_at_the_end(self, step: Step) -> Step:
        """Gold answers, and those that the scores are of, only once the sequence is over: its queries are asked again."""
        info = {name: value for name, value in step.info.items() if name != "gold"}
        if step.terminated or step.truncated:
            info["gold"] = [gold_lists(self.runtime, task) for task in self.tasks]
            info["retention_predictions"] = self._predictions()
        return step._replace(info=info)

    def _predictions(self) -> list[list[Any]]:
        """The answers that the cells of the retention matrix are scores of; None where there is no score."""
        return [[each and as_lists(each.predictions_Q) for each in row] for row in self._rows]

    def _play(self, action: Any) -> Step:
        decision = self.episode.decide(action)
        if not isinstance(decision, PendingUpdate):
            if not decision.terminated:
                return decision._replace(info=decision.info | self._sequence_info())
            return self._advance(decision)
        cache = BaseAnswerCache(1)
        cache.add(self.episode.base_key, self._answers[self.position])
        return self._advance(settle([self.episode], [decision], cache)[0])

    def _advance(self, step: Step) -> Step:
        """Merge what was trained, evaluate again, and go on to the next task."""
        adapter = self.episode.result.adapter if self.episode.result else None
        info = step.info | {"merged": False} | self._rehearsed()
        if step.truncated:
            self.runtime.discard(adapter)
            return step._replace(info=info | self._sequence_info())
        evaluated = info.get("accuracy_after") is not None
        merged = evaluated and info["optimizer_steps"] > 0
        self._undo = _Undo(None, dict(self._answers), self.rehearsal)
        if merged:
            assert adapter is not None
            self._undo = self._undo._replace(state=self.runtime.merge(adapter, self.keeps_undo, self._documents()))
            info["merged"] = True
        else:
            self.runtime.discard(adapter)
        failure = self._remember() if merged else None
        self.position += 1
        known = range(min(self.position + 1, len(self.tasks)))
        failure = failure or self._evaluate(known if merged else known[self.position :])
        if failure is not None:
            outcome, reason = str(failure.outcome), failure.reason
            info |= {"outcome": outcome, "reason": reason, **self._sequence_info()}
            return Step(reason, FAILED_REWARD, False, True, info)
        self._add_row(self.position + 1)
        return self._next(step._replace(reward=self._reward() if evaluated else step.reward, info=info))

    def _rehearsed(self) -> dict[str, Any]:
        """How many documents of earlier tasks the update was trained on, and their tokens in an epoch."""
        if not self.runtime.settings.max_rehearsed:
            return {}
        lengths = self.episode.drafting.rehearsed.lengths_E
        return {"rehearsed": len(lengths), "rehearsed_tokens": sum(lengths)}

    def _documents(self) -> list[str]:
        """The texts that the current task was learned from, without those of earlier tasks."""
        own = self.episode.drafting.own.examples_E
        return [example.document or "\n".join(message.content for message in example.messages) for example in own]

    def _remember(self) -> UpdateResult | None:
        """Keep what the current task was learned from, or what the model says of it; the infrastructure failure, if any."""
        settings, own = self.runtime.settings, self.episode.drafting.own
        if settings.max_rehearsed and settings.rehearse_from == "samples":
            job = replace(self.episode.base_job(sampling_queries(own.examples_E)), decode=True)
            (result,) = self.runtime.inner_loop.run([job])
            if result.outcome.is_infrastructure:
                return result
            own = samples(job.queries_Q, result.answers_Q, self.runtime.inner_loop.count_tokens)
        self.rehearsal = self.rehearsal.with_task(self.episode.task.task_id, own)
        return None

    def _next(self, step: Step) -> Step:
        """The step with the prompt for the next task, and its data, unless the sequence is over."""
        if self.position == len(self.tasks):
            return step._replace(terminated=True, info=step.info | self._sequence_info())
        self.episode = self._episode(self.position)
        observation, opening = self.episode.opening()
        following = {name: opening[name] for name in ("task", "budget", "segment")}
        return Step(observation, step.reward, False, False, step.info | following | self._sequence_info())

    def _add_row(self, count: int, instead: bool = False) -> None:
        """Add the scores on the first `count` tasks to the retention matrix, or put them in place of the last ones."""
        row = [self._answers[index].evaluation if index < count else None for index in range(len(self.tasks))]
        scores = [None if each is None else score(self.runtime.reward, each) for each in row]
        if instead:
            self._rows.pop()
            self.retention.replace_last(scores)
        else:
            self.retention.add(scores)
        self._rows.append(row)

    def _reward(self) -> float:
        """Reward of the last update."""
        return self.retention.reward(self.position, self.runtime.settings.reward_over)

    def _evaluate(self, indices: Sequence[int]) -> UpdateResult | None:
        """Have the model as it is now answer the queries of these tasks; the first infrastructure failure, if any."""
        episodes = [self._episode(index) for index in indices]
        results = self.runtime.inner_loop.run([episode.base_job() for episode in episodes]) if episodes else []
        for index, episode, result in zip(indices, episodes, results, strict=True):
            answers = base_answers(episode, result)
            if answers.evaluation is None:
                return answers.result
            self._answers[index] = answers
        return None

    def _evaluate_or_raise(self, indices: Sequence[int]) -> None:
        """`_evaluate` where there is no step that a failure could end. Raises UpdateError."""
        failure = self._evaluate(indices)
        if failure is not None:
            raise UpdateError(f"the model could not be evaluated: {failure.outcome}: {failure.reason}")

    def queries(self, learned: int) -> tuple[Query, ...]:
        """All queries of the first `learned` tasks."""
        domain = self.runtime.domain
        return tuple(
            query for index, task in enumerate(self.tasks[:learned]) for query in domain.queries(task, self.seed + index)
        )

    def take_back(self) -> None:
        """Undo the last merge, bit by bit, and return to its task, on which the agent acts anew.

        Raises:
            SettingError: Unless `keeps_undo` was set before that step.
        """
        self._restore()
        self.position -= 1
        self.retention.rows.pop()
        self._rows.pop()
        self.episode = self._episode(self.position)

    def _restore(self) -> None:
        state, answers, rehearsal = self._undo or (None, self._answers, self.rehearsal)
        if state is None:
            raise SettingError("keeps_undo", self.keeps_undo, "True before the step that is to be rolled back")
        self._undo, self._answers, self.rehearsal = None, answers, rehearsal
        self.runtime.consolidation.restore(state)

    def roll_back(self) -> tuple[float, dict[str, Any]]:
        """Undo the last merge, bit by bit: the reward without it, and what changes in the info.

        Raises:
            SettingError: Unless `keeps_undo` was set before that step.
            UpdateError: If the model cannot be evaluated.
        """
        self._restore()
        if self.position < len(self.tasks):
            self.episode = self._episode(self.position)  # which cannot rehearse what was undone
            self._evaluate_or_raise([self.position])
        self._add_row(self.position + 1, instead=True)
        return self.without_update()

    def without_update(self) -> tuple[float, dict[str, Any]]:
        """The reward of the last update if the model is as it was before it, and what changes in the info."""
        changed = {"merged": False, "rolled_back": True, **self._sequence_info()}
        if self.position == len(self.tasks):
            changed["retention_predictions"] = self._predictions()
        return self._reward(), changed


def score(reward: Reward, evaluation: Evaluation) -> float:
    """What one evaluation is worth by itself, in a reward that compares with nothing."""
    return paid(reward, evaluation, evaluation)
