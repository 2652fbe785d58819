"""Search for the best self-edit of each task: the oracle row of the paper's table.

The winner is fitted to its task by trial, test answers included in the reward: it shows what the inner loop can reach, not
what an agent could have known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from seal_env.agents.base import Trajectory
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.agents.search.budget import SearchBudget
from seal_env.agents.search.tpe import SearchAgent
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.journal import Journal

CACHED_TASKS = 10_000
TOGETHER = 8
"""Tasks that are searched at one time."""


@dataclass(frozen=True)
class SearchResult:
    """The best self-edit that a search found for a task.

    Attributes:
        task_id: The task.
        self_edit: The self-edit.
        rewards_S: Its rewards with the seeds that it was chosen by, which flatters it.
        fresh_S: Its rewards with other seeds. In both, nan stands for an infrastructure failure.
    """

    task_id: str
    self_edit: str
    rewards_S: tuple[float, ...]
    fresh_S: tuple[float, ...]

    @property
    def reward(self) -> float:
        """Mean reward over the fresh seeds; nan if there is none."""
        return _mean(self.fresh_S)

    @property
    def failed(self) -> bool:
        """Whether an infrastructure failure has cost it a reward."""
        return any(map(math.isnan, (*self.rewards_S, *self.fresh_S)))


class Search:
    """One search on several tasks at once, so that their updates train together.

    Args:
        runtime: Of the environment, its model loaded.
        action_space: Whose ranges are searched.
        budget: Number of episodes for each task.
        seed: Seed of the first episode; further ones count up, so searches with seeds far apart share none.
        report: Called after each call of the inner loop with the number of episodes so far.
    """

    def __init__(
        self,
        runtime: Runtime,
        action_space: gymnasium.Space[str],
        budget: SearchBudget | None = None,
        seed: int = 0,
        report: Callable[[int], None] = lambda _done: None,
    ) -> None:
        self._runtime, self._budget, self._seed = runtime, budget or SearchBudget(), seed
        self._report, self._done = report, 0
        self._agent = SearchAgent(action_space, seed)
        self._base = BaseAnswerCache(CACHED_TASKS)
        self._rewards: dict[str, dict[str, list[float]]] = {}

    def run(self, task_ids: Sequence[str]) -> list[SearchResult]:
        """Find the best self-edit of each task. Raises UnknownTaskError."""
        self._rewards = {task_id: {} for task_id in task_ids}
        seed = self._try_out(self._seed)
        newest = {task_id: list(reversed(tried)) for task_id, tried in self._rewards.items()}
        finalists = {task_id: self._best(task_id, mine, self._budget.finalists) for task_id, mine in newest.items()}
        while (most := max(map(len, finalists.values()), default=0)) > 1:
            seed = self._repeat(finalists, seed)
            finalists = {task_id: self._best(task_id, mine, most // 2) for task_id, mine in finalists.items()}
        winners = {task_id: mine[0] for task_id, mine in finalists.items()}
        searched = {task_id: tuple(self._rewards[task_id][self_edit]) for task_id, self_edit in winners.items()}
        fresh = self._measure([(task_id, winners[task_id]) for task_id in task_ids], seed, self._budget.fresh)
        return [
            SearchResult(task_id, winners[task_id], searched[task_id], tuple(mine))
            for task_id, mine in zip(task_ids, fresh, strict=True)
        ]

    def _try_out(self, seed: int) -> int:
        """Try many self-edits for each task, once each. Returns the first seed that is not used yet."""
        left = self._budget.trials
        while left:
            width = min(self._budget.width, left)
            starts = [Start(task_id, seed + number) for number in range(width) for task_id in self._rewards]
            trajectories = self._run(starts)
            self._agent.learn(trajectories)
            for trajectory in trajectories:
                self._record_rewards(trajectory.task_id, trajectory.turns[0].action, [trajectory.reward])
            left, seed = left - width, seed + width
        return seed

    def _repeat(self, finalists: Mapping[str, Sequence[str]], seed: int) -> int:
        """Try all finalists with the same further seeds. Returns the first seed that is not used yet."""
        tried = [(task_id, self_edit) for task_id, mine in finalists.items() for self_edit in mine]
        rewards = self._measure(tried, seed, self._budget.repeats)
        for (task_id, self_edit), mine in zip(tried, rewards, strict=True):
            self._record_rewards(task_id, self_edit, mine)
        return seed + self._budget.repeats

    def _measure(self, tried: Sequence[tuple[str, str]], seed: int, count: int) -> list[list[float]]:
        """Rewards of (task, self-edit) with each of `count` seeds."""
        starts = [Start(task_id, seed + number) for task_id, _ in tried for number in range(count)]
        self_edits = [[self_edit] for _, self_edit in tried for _ in range(count)]
        rewards = [each.reward for each in self._run(starts, self_edits)]
        return [rewards[index * count : (index + 1) * count] for index in range(len(tried))]

    def _run(self, starts: Sequence[Start], self_edits: Sequence[Sequence[str]] = ()) -> list[Trajectory]:
        """Episodes in one call; the agent chooses the self-edits that are not given."""
        trajectories = run_episodes(self._runtime, self._agent, starts, self._base, self_edits)
        self._done += len(trajectories)
        self._report(self._done)
        return trajectories

    def _record_rewards(self, task_id: str, self_edit: str, rewards: Sequence[float]) -> None:
        self._rewards[task_id].setdefault(self_edit, []).extend(rewards)

    def _best(self, task_id: str, self_edits: Sequence[str], count: int) -> list[str]:
        """The `count` best by mean reward, of equal ones the earlier; those without a reward come last."""
        means = {self_edit: _mean(self._rewards[task_id][self_edit]) for self_edit in self_edits}
        return sorted(self_edits, key=lambda each: math.inf if math.isnan(means[each]) else -means[each])[:count]


def _mean(rewards: Sequence[float]) -> float:
    """Mean of those that are numbers; nan if none is."""
    known = [reward for reward in rewards if not math.isnan(reward)]
    return sum(known) / len(known) if known else math.nan


def search_tasks(
    runtime: Runtime,
    action_space: gymnasium.Space[str],
    budget: SearchBudget,
    seed: int,
    journal: Journal,
    report: Callable[[int], None] = lambda _done: None,
) -> list[SearchResult]:
    """Search for the best self-edit of every task of a runtime, TOGETHER tasks at a time. Resumable.

    Args:
        runtime: Of the environment, its model loaded.
        action_space: Whose ranges are searched.
        budget: Number of episodes for each task.
        seed: Of all searches; different ones practically never share a seed.
        journal: A line for each group of tasks; what is in it is not searched again, unless there were failures.
        report: Called with the number of episodes that are done, of `budget.episodes` for each task: first those of the
            tasks in the journal, then after each call of the inner loop.
    """
    records, found = journal.read(), list[SearchResult]()
    task_ids, of_a_task = runtime.taskset.task_ids, budget.episodes
    groups = [[_result(each) for each in record["found"]] for record in records]
    done = of_a_task * sum(len(group) for group in groups if not _any_failed(group))
    report(done)
    for number, start in enumerate(range(0, len(task_ids), TOGETHER)):
        known = groups[number] if number < len(groups) else []
        if not known or _any_failed(known):
            own = int(np.random.SeedSequence((seed, start)).generate_state(1)[0]) % 2**30
            search = Search(runtime, action_space, budget, own, partial(_report_after, report, done))
            known = search.run(task_ids[start : start + TOGETHER])
            record = {"found": [_record(each) for each in known]}
            if number < len(records):
                records[number] = record
                journal.replace(records)
            else:
                journal.append(record)
            done += of_a_task * len(known)
            report(done)
        found += known
    return found


def _report_after(report: Callable[[int], None], before: int, more: int) -> None:
    report(before + more)


def _any_failed(group: Sequence[SearchResult]) -> bool:
    return any(each.failed for each in group)


def _record(found: SearchResult) -> dict[str, Any]:
    rewards = {name: _without_nan(getattr(found, name)) for name in ("rewards_S", "fresh_S")}
    return {"task_id": found.task_id, "self_edit": found.self_edit, **rewards}


def _without_nan(rewards: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(reward) else reward for reward in rewards]


def _result(record: Mapping[str, Any]) -> SearchResult:
    rewards = {name: tuple(math.nan if each is None else each for each in record[name]) for name in ("rewards_S", "fresh_S")}
    return SearchResult(record["task_id"], record["self_edit"], **rewards)
