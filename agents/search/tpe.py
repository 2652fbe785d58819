"""Search: the best self-edit for each task by itself, by trying many. The oracle row of the paper's table.

What is found is fitted to its task by trial, test answers included in the reward: it says what the inner loop can reach, not
what an agent could have known.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import gymnasium
import numpy as np

from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.agents.search.budget import SearchBudget
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.errors import SettingError, needs_extra
from seal_env.journal import Journal
from seal_env.options import Options
from seal_env.self_edits.numeric_actions import Coordinate, coordinates, write_self_edit

with needs_extra("search"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

KEPT_TASKS = 10_000
TOGETHER = 8
"""Tasks that are searched at one time."""


class SearchAgent(Agent):
    """Searches for every task's best self-edit by Optuna's TPE; tasks are told apart by the text of the observation.

    A self-edit is one call of each tool, its arguments within what the action space samples. Those whose rewards are not
    known yet count as bad ones until they are (TPE's constant liar), so that a batch is spread out. `learn` tells the
    rewards; a failure of the machine is told as one. Equal seeds give equal actions.
    """

    def __init__(self, action_space: gymnasium.Space[str], seed: int = 0) -> None:
        """Raises SettingError unless the space is a SelfEditSpace."""
        if not isinstance(action_space, SelfEditSpace):
            raise SettingError("action_space", action_space, "a SelfEditSpace, whose ranges are searched")
        self._coordinates = coordinates(action_space.spec)
        self._tools = action_space.tools
        self._distributions = {each.name: _distribution(each) for each in self._coordinates}
        self._studies: dict[str, optuna.Study] = {}
        self._asked: dict[tuple[str, str], list[optuna.Trial]] = defaultdict(list)
        self.seed(seed)

    @classmethod
    def build(cls, options: Options, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.action_space, context.seed)

    def seed(self, seed: int) -> None:
        """Fix what is drawn from now on; what was learned stays."""
        self._seed = seed
        for observation, study in self._studies.items():
            study.sampler = self._sampler(observation)

    def act(self, observation: str, info: Info) -> str:
        """The next self-edit to try on this task."""
        trial = self._study(observation).ask(self._distributions)
        action = self._write(trial.params)
        self._asked[observation, action].append(trial)
        return action

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """Tell the rewards of self-edits that this agent asked for; others say nothing to it."""
        for trajectory in trajectories:
            opening = trajectory.turns[0]
            waiting = self._asked.get((opening.observation, opening.action), [])
            if waiting:
                failed = math.isnan(trajectory.reward)
                state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
                self._study(opening.observation).tell(waiting.pop(0), None if failed else trajectory.reward, state)

    def _study(self, observation: str) -> optuna.Study:
        if observation not in self._studies:
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would report each study and each trial
            self._studies[observation] = optuna.create_study(sampler=self._sampler(observation), direction="maximize")
        return self._studies[observation]

    def _sampler(self, observation: str) -> optuna.samplers.TPESampler:
        own = zlib.crc32(f"{self._seed} {observation}".encode())
        return optuna.samplers.TPESampler(seed=own, constant_liar=True)

    def _write(self, values: Mapping[str, Any]) -> str:
        chosen = [(each, values[each.name]) for each in self._coordinates]
        rounded = [(each, value if each.reals is None else each.reals.at(each.reals.share(value))) for each, value in chosen]
        return write_self_edit(self._tools, rounded)


def _distribution(coordinate: Coordinate) -> BaseDistribution:
    values, reals = coordinate.values, coordinate.reals
    if reals is not None:
        return FloatDistribution(reals.low, reals.high, log=reals.is_log)
    if all(type(value) is int for value in values) and values == tuple(range(values[0], values[-1] + 1)):
        return IntDistribution(values[0], values[-1])
    return CategoricalDistribution(values)


@dataclass(frozen=True)
class Found:
    """The best self-edit of a search on one task.

    rewards_S: with the seeds that it was chosen by, which flatters it. fresh_S: with other seeds. Both are nan where the
    machine failed.
    """

    task_id: str
    self_edit: str
    rewards_S: tuple[float, ...]
    fresh_S: tuple[float, ...]

    @property
    def reward(self) -> float:
        """What the self-edit is worth: mean over the fresh seeds, nan if the machine failed for all of them."""
        return _mean(self.fresh_S)


class _Script(Agent):
    """Gives the self-edits of a list, in order."""

    def __init__(self, self_edits: Sequence[str]) -> None:
        self._left = list(reversed(self_edits))

    def act(self, observation: str, info: Info) -> str:
        return self._left.pop()


class Search:
    """One search on several tasks of a runtime at once, so that their updates train together."""

    def __init__(
        self, runtime: Runtime, action_space: gymnasium.Space[str], budget: SearchBudget | None = None, seed: int = 0
    ) -> None:
        """Episodes have the seeds from `seed` on: searches with seeds far apart share none."""
        self._runtime, self._budget, self._seed = runtime, budget or SearchBudget(), seed
        self._agent = SearchAgent(action_space, seed)
        self._kept = BaseAnswerCache(KEPT_TASKS)
        self._rewards: dict[str, dict[str, list[float]]] = {}

    def run(self, task_ids: Sequence[str]) -> list[Found]:
        """The best self-edit of each task. Raises UnknownTaskError."""
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
            Found(task_id, winners[task_id], searched[task_id], tuple(mine))
            for task_id, mine in zip(task_ids, fresh, strict=True)
        ]

    def _try_out(self, seed: int) -> int:
        """Many self-edits for each task, once each; the first seed that is not used up."""
        left = self._budget.trials
        while left:
            width = min(self._budget.width, left)
            starts = [Start(task_id, seed + number) for number in range(width) for task_id in self._rewards]
            trajectories = run_episodes(self._runtime, self._agent, starts, self._kept)
            self._agent.learn(trajectories)
            for trajectory in trajectories:
                self._note(trajectory.task_id, trajectory.turns[0].action, [trajectory.reward])
            left, seed = left - width, seed + width
        return seed

    def _repeat(self, finalists: Mapping[str, Sequence[str]], seed: int) -> int:
        """All finalists with the same further seeds; the first seed that is not used up."""
        tried = [(task_id, self_edit) for task_id, mine in finalists.items() for self_edit in mine]
        rewards = self._measure(tried, seed, self._budget.repeats)
        for (task_id, self_edit), mine in zip(tried, rewards, strict=True):
            self._note(task_id, self_edit, mine)
        return seed + self._budget.repeats

    def _measure(self, tried: Sequence[tuple[str, str]], seed: int, count: int) -> list[list[float]]:
        """Rewards of (task, self-edit) with each of `count` seeds."""
        starts = [Start(task_id, seed + number) for task_id, _ in tried for number in range(count)]
        script = _Script([self_edit for _, self_edit in tried for _ in range(count)])
        rewards = [each.reward for each in run_episodes(self._runtime, script, starts, self._kept)]
        return [rewards[place * count : (place + 1) * count] for place in range(len(tried))]

    def _note(self, task_id: str, self_edit: str, rewards: Sequence[float]) -> None:
        self._rewards[task_id].setdefault(self_edit, []).extend(rewards)

    def _best(self, task_id: str, self_edits: Sequence[str], count: int) -> list[str]:
        """The `count` best by mean reward, of equals the earlier ones; what the machine always failed for comes last."""
        means = {self_edit: _mean(self._rewards[task_id][self_edit]) for self_edit in self_edits}
        return sorted(self_edits, key=lambda each: math.inf if math.isnan(means[each]) else -means[each])[:count]


def _mean(rewards: Sequence[float]) -> float:
    """Of those that are numbers; nan if none is."""
    known = [reward for reward in rewards if not math.isnan(reward)]
    return sum(known) / len(known) if known else math.nan


def search_tasks(
    runtime: Runtime, action_space: gymnasium.Space[str], budget: SearchBudget, seed: int, journal: Journal
) -> list[Found]:
    """The best self-edit for each task of the runtime, TOGETHER at a time; those in the journal are not searched again.

    Seeds of different searches are as good as never the same.
    """
    found = [_found(each) for record in journal.read() for each in record["found"]]
    task_ids = runtime.taskset.task_ids
    for start in range(len(found), len(task_ids), TOGETHER):
        own = int(np.random.SeedSequence((seed, start)).generate_state(1)[0]) % 2**30
        fresh = Search(runtime, action_space, budget, own).run(task_ids[start : start + TOGETHER])
        journal.append({"found": [_record(each) for each in fresh]})
        found += fresh
    return found


def _record(found: Found) -> dict[str, Any]:
    rewards = {name: _without_nan(getattr(found, name)) for name in ("rewards_S", "fresh_S")}
    return {"task_id": found.task_id, "self_edit": found.self_edit, **rewards}


def _without_nan(rewards: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(reward) else reward for reward in rewards]


def _found(record: Mapping[str, Any]) -> Found:
    rewards = {name: tuple(math.nan if each is None else each for each in record[name]) for name in ("rewards_S", "fresh_S")}
    return Found(record["task_id"], record["self_edit"], **rewards)
