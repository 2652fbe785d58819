"""Settle: the updates of many episodes, done by one call of the inner loop."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from seal_env.episodes.episode import BaseKey, Episode, PendingUpdate
from seal_env.errors import GraderError
from seal_env.types import Evaluation, Outcome, Step, UpdateJob, UpdateResult


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
            if len(self) >= self.limit:
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
        return BaseAnswers(replace(result, outcome=Outcome.ENGINE_ERROR, reason=str(error)), None)


def play(episodes: Sequence[Episode], actions: Sequence[Any], cache: BaseAnswerCache) -> list[Step]:
    """One action in each of several episodes of one runtime; one call of the inner loop at most, see `settle`."""
    return settle(episodes, [episode.decide(action) for episode, action in zip(episodes, actions, strict=True)], cache)


def settle(episodes: Sequence[Episode], decisions: Sequence[Step | PendingUpdate], cache: BaseAnswerCache) -> list[Step]:
    """What each episode's last decision comes to: a finished step stays as it is, and an update ends its episode.

    All is done by one call of the inner loop at most. It holds the update of every episode that ends with one, and one job
    for the base model's answers to every task that `cache` has none of.

    Args:
        episodes: Of one runtime.
        decisions: What `Episode.decide` gave for each.
        cache: The base model's answers so far, to which new ones are added.
    """
    updates = {index: decision for index, decision in enumerate(decisions) if isinstance(decision, PendingUpdate)}
    uncached = {episodes[index].base_key: episodes[index] for index in updates if episodes[index].base_key not in cache}
    jobs: dict[BaseKey | int, UpdateJob] = {key: episode.base_job() for key, episode in uncached.items()}
    jobs |= {index: job for index, update in updates.items() if (job := episodes[index].job(update)) is not None}
    results = dict(zip(jobs, episodes[0].runtime.inner_loop.run(list(jobs.values())), strict=True)) if jobs else {}
    fresh = {key: base_answers(episode, results[key]) for key, episode in uncached.items()}
    known = ChainMap(fresh, cache)
    steps = [
        _finish(episode, decision, known[episode.base_key], results.get(index))
        if isinstance(decision, PendingUpdate)
        else decision
        for index, (episode, decision) in enumerate(zip(episodes, decisions, strict=True))
    ]
    for key, answers in fresh.items():
        cache.add(key, answers)
    return steps


def _finish(episode: Episode, update: PendingUpdate, base: BaseAnswers, result: UpdateResult | None) -> Step:
    if base.evaluation is None:
        return episode.fail(base.result.outcome, base.result.reason, update.edit)
    if result is not None:
        episode.timings |= dict(result.timings)
    return episode.finish(update, base.evaluation, result or base.result)
