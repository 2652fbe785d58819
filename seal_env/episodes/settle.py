"""Settle: the updates of many episodes, done by one call of the inner loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from traceback import format_exc
from typing import Any, NamedTuple, TypeVar

from seal_env.episodes.episode import BaseKey, Episode, PendingUpdate
from seal_env.errors import GraderError
from seal_env.printable import printable
from seal_env.redaction import redacted_message
from seal_env.types import Evaluation, Outcome, Step, UpdateJob, UpdateResult

ResultT = TypeVar("ResultT")


class BaseAnswers(NamedTuple):
    """The base model's answers to a task's queries. evaluation: None after an infrastructure failure."""

    result: UpdateResult
    evaluation: Evaluation | None


class BaseAnswerCache(dict[BaseKey, BaseAnswers]):
    """The base model's answers, computed once per key; at most `limit` of them, the oldest evicted first."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def add(self, key: BaseKey, answers: BaseAnswers) -> None:
        """Cache answers; those of an infrastructure failure are dropped."""
        if answers.evaluation is not None:
            if key not in self and len(self) >= self.limit:
                del self[next(iter(self))]
            self[key] = answers


def base_answers(episode: Episode, result: UpdateResult) -> BaseAnswers:
    """Score the result of `Episode.base_job`. A grader that cannot be reached is an infrastructure failure."""
    episode.timings["base_seconds"] = result.timings.get("evaluate_seconds", 0.0)
    if result.outcome.is_infrastructure:
        return BaseAnswers(result, None)
    try:
        return BaseAnswers(result, episode.score(result))
    except GraderError as error:
        return _unscored(result, str(error))


def _unscored(result: UpdateResult, reason: str) -> BaseAnswers:
    return BaseAnswers(replace(result, outcome=Outcome.ENGINE_ERROR, reason=reason), None)


def play(episodes: Sequence[Episode], actions: Sequence[Any], cache: BaseAnswerCache) -> list[Step]:
    """One action in each of several episodes of one runtime; one call of the inner loop at most, see `settle`."""
    return settle(episodes, decide(episodes, actions), cache)


def decide(episodes: Sequence[Episode], actions: Sequence[Any]) -> list[Step | PendingUpdate]:
    """What each episode decides about its action; a bug ends its own episode only, where it is not alone."""
    return [
        _apart(partial(episode.decide, action), partial(episode.fail, Outcome.ENGINE_ERROR), episode, len(episodes))
        for episode, action in zip(episodes, actions, strict=True)
    ]


def _apart(act: Callable[[], ResultT], instead: Callable[[str], ResultT], episode: Episode, together: int) -> ResultT:
    """What `act` gives. A bug in it, or in a tool, a reward or a grader from outside, is raised where an episode is alone.

    Beside others it ends this episode only, as an infrastructure failure with a warning: theirs have nothing to do with it,
    and their updates may have taken minutes.

    Args:
        act: May meet the bug.
        instead: Makes the result in that case, given the reason.
        episode: That it concerns.
        together: How many episodes are played together.
    """
    try:
        return act()
    except Exception as error:
        if together == 1:
            raise
        found = printable(redacted_message(f"a bug ended the episode of task {episode.task.task_id}: {format_exc()}"))
        warnings.warn(found, RuntimeWarning, stacklevel=2)
        return instead(redacted_message(f"a bug: {type(error).__name__}: {error}"))


def settle(episodes: Sequence[Episode], decisions: Sequence[Step | PendingUpdate], cache: BaseAnswerCache) -> list[Step]:
    """What each episode's last decision comes to: a finished step stays as it is, and an update ends its episode.

    All is done by one call of the inner loop at most. It holds the update of every episode that ends with one, and one job
    for the base model's answers to every task that `cache` has none of.

    Args:
        episodes: Of one runtime.
        decisions: What `Episode.decide` gave for each.
        cache: The base model's answers so far, to which new ones are added.
    """
    pending = Settlement(episodes, decisions, cache)
    try:
        results = episodes[0].runtime.inner_loop.run(pending.jobs) if pending.jobs else []
    except BaseException:
        pending.abandon()
        raise
    steps = pending.finish(results)
    pending.add_to(cache)
    return steps


class Settlement:
    """The jobs of several decisions, and what their results come to.

    It holds those of the base model's answers that were known when it was made. What is added to the cache while the inner
    loop runs changes nothing: results belong to the jobs that were asked for.

    Args:
        episodes, decisions, cache: See `settle`.
    """

    def __init__(
        self, episodes: Sequence[Episode], decisions: Sequence[Step | PendingUpdate], cache: Mapping[BaseKey, BaseAnswers]
    ) -> None:
        self._episodes, self._decisions = episodes, decisions
        self._known: dict[BaseKey, BaseAnswers] = {}
        self._fresh: dict[BaseKey, BaseAnswers] = {}
        self._uncached: dict[BaseKey, Episode] = {}
        updates = {index: decision for index, decision in enumerate(decisions) if isinstance(decision, PendingUpdate)}
        for episode in (episodes[index] for index in updates):
            answers = cache.get(episode.base_key)
            if answers is None:
                self._uncached[episode.base_key] = episode
            else:
                self._known[episode.base_key] = answers
        self._jobs: dict[BaseKey | int, UpdateJob] = {key: episode.base_job() for key, episode in self._uncached.items()}
        self._jobs |= {index: job for index, update in updates.items() if (job := episodes[index].job(update)) is not None}

    @property
    def jobs(self) -> list[UpdateJob]:
        """What the inner loop has to run; maybe nothing."""
        return list(self._jobs.values())

    def finish(self, results: Sequence[UpdateResult]) -> list[Step]:
        """The ends of the episodes.

        Args:
            results: Of the jobs, in their order.
        """
        by_job = dict(zip(self._jobs, results, strict=True))
        _remove_unused(self._jobs, by_job)
        together = len(self._episodes)
        self._fresh = {
            key: _apart(partial(base_answers, episode, by_job[key]), partial(_unscored, by_job[key]), episode, together)
            for key, episode in self._uncached.items()
        }
        known = self._fresh | self._known
        return [
            _apart(
                partial(_finish, episode, decision, known[episode.base_key], by_job.get(index)),
                partial(episode.fail, Outcome.ENGINE_ERROR),
                episode,
                together,
            )
            if isinstance(decision, PendingUpdate)
            else decision
            for index, (episode, decision) in enumerate(zip(self._episodes, self._decisions, strict=True))
        ]

    def abandon(self) -> None:
        """There will be no results: remove what was made for them."""
        _remove_unused(self._jobs, {})

    def add_to(self, cache: BaseAnswerCache) -> None:
        """Add the base model's answers that `finish` found."""
        for key, answers in self._fresh.items():
            cache.add(key, answers)


def _remove_unused(jobs: Mapping[BaseKey | int, UpdateJob], results: Mapping[BaseKey | int, UpdateResult]) -> None:
    """Remove the directories that were made for adapters which there are none of."""
    for key, job in jobs.items():
        if job.save_to is not None and (key not in results or results[key].adapter is None):
            with suppress(OSError):
                job.save_to.rmdir()


def _finish(episode: Episode, update: PendingUpdate, base: BaseAnswers, result: UpdateResult | None) -> Step:
    if base.evaluation is None:
        return episode.fail(base.result.outcome, base.result.reason, update.edit)
    if result is not None:
        episode.timings |= dict(result.timings)
    return episode.finish(update, base.evaluation, result or base.result)
