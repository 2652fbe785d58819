"""Per-task search: that it finds what there is to find, and that the winner's luck is not counted."""

from __future__ import annotations

import json
import math
import zlib

import numpy as np
import optuna
import pytest
from gymnasium.spaces import Text

from seal_env.agents.base import Trajectory, Turn
from seal_env.agents.search.budget import SearchBudget
from seal_env.agents.search.per_task import Search, SearchResult
from seal_env.agents.search.tpe import SearchAgent
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, UnknownTaskError
from seal_env.settings import Settings
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop
from tests.helpers.tools import ARC_TOOLS, EPOCHS

SPACE = SelfEditSpace(ARC_TOOLS)
GOOD = (2e-4, 1e-3)


class LuckyInnerLoop(FakeInnerLoop):
    """Right more often if learning rate and strategy are good ones; luck is a function of the job's seed and rate."""

    def __init__(self, good: float = 0.9, bad: float = 0.15, fails_from: int = 10**9) -> None:
        super().__init__()
        self.good, self.bad, self.fails_from = good, bad, fails_from

    @property
    def updates(self) -> list[UpdateJob]:
        return [job for job in self.jobs if job.examples_E]

    def result(self, job: UpdateJob) -> UpdateResult:
        if job.examples_E and job.seed >= self.fails_from:
            return UpdateResult(Outcome.ENGINE_ERROR, "it failed", ())
        rate, strategy = job.training.learning_rate, job.training.strategy
        chance = self.good if GOOD[0] < rate < GOOD[1] and strategy == "train_using_output_tokens" else self.bad
        luck = zlib.crc32(f"{job.seed} {rate} {job.queries_Q}".encode()) / 2**32
        right = bool(job.examples_E) and luck < chance
        return UpdateResult(Outcome.OK, "", tuple(Answer(q.query_id, right, None, 1.0) for q in job.queries_Q))


def make_world(inner_loop: LuckyInnerLoop, tasks: int = 3) -> Runtime:
    settings = Settings.resolve(subset=f"mini-train:{tasks}", max_turns=1, max_examples=4, decode="never")
    runtime = Runtime(settings)
    runtime.use(inner_loop)
    return runtime


def is_good(self_edit: str) -> bool:
    training = json.loads(self_edit)[1]["arguments"]
    return GOOD[0] < training["learning_rate"] < GOOD[1] and training["strategy"] == "train_using_output_tokens"


def seeds_of(found: SearchResult) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return found.rewards_S, found.fresh_S


def tell(agent: SearchAgent, observation: str, action: str, reward: float) -> None:
    agent.learn([Trajectory("task", (Turn(observation, action, reward, {}),), math.isnan(reward), {})])


def test_finds_the_self_edits_that_work() -> None:
    runtime = make_world(LuckyInnerLoop(), tasks=3)
    found = Search(runtime, SPACE).run(runtime.taskset.task_ids)
    assert [each.task_id for each in found] == list(runtime.taskset.task_ids)
    assert all(is_good(each.self_edit) for each in found)
    assert float(np.mean([each.reward for each in found])) > 0.75


def test_winner_s_luck_is_not_counted() -> None:
    """Where all self-edits are alike, the best one looks good only with the seeds that it was chosen by."""
    runtime = make_world(LuckyInnerLoop(good=0.3, bad=0.3), tasks=6)
    found = Search(runtime, SPACE, SearchBudget(trials=12, fresh=8)).run(runtime.taskset.task_ids)
    searched, fresh = (
        float(np.mean([np.mean(part) for part in parts])) for parts in zip(*map(seeds_of, found), strict=True)
    )
    assert 0.15 < fresh < 0.45
    assert searched > fresh + 0.1


def test_budget_is_kept_and_fresh_seeds_are_fresh() -> None:
    inner_loop = LuckyInnerLoop()
    runtime = make_world(inner_loop, tasks=2)
    budget = SearchBudget(trials=10, width=4, repeats=2, fresh=3)
    found = Search(runtime, SPACE, budget, seed=100).run(runtime.taskset.task_ids)
    seeds = [job.seed for job in inner_loop.updates]
    rounds = [8, 4, 2]
    assert len(seeds) == 2 * (10 + 2 * sum(rounds) + 3)
    assert min(seeds) == 100
    last = sorted(set(seeds))[-3:]
    fresh = [job for job in inner_loop.updates if job.seed in last]
    assert len(fresh) == 2 * 3
    assert [len(each.fresh_S) for each in found] == [3, 3]
    assert [len(each.rewards_S) for each in found] == [7, 7]


def test_equal_seeds_find_equal_self_edits() -> None:
    small = SearchBudget(trials=6, width=3, repeats=1, fresh=1)
    runs = []
    for seed in (0, 0, 1):
        runtime = make_world(LuckyInnerLoop())
        runs.append(Search(runtime, SPACE, small, seed).run(runtime.taskset.task_ids))
    assert runs[0] == runs[1] != runs[2]


def test_failures_of_the_machine_are_no_rewards() -> None:
    runtime = make_world(LuckyInnerLoop(fails_from=12))
    found = Search(runtime, SPACE, SearchBudget(trials=12, width=6, repeats=1, fresh=2)).run(runtime.taskset.task_ids)
    assert all(math.isnan(each.reward) for each in found)
    assert all(math.isfinite(each.rewards_S[0]) and math.isnan(each.rewards_S[-1]) for each in found)


def test_unknown_task_is_named() -> None:
    with pytest.raises(UnknownTaskError, match="'nothing'"):
        Search(make_world(LuckyInnerLoop()), SPACE).run(["nothing"])


def test_agent_gets_better_at_each_task() -> None:
    hits = []
    for seed in range(3):
        agent = SearchAgent(SPACE, seed)
        actions = []
        for _ in range(60):
            actions.append(agent.act("a task", {}))
            tell(agent, "a task", actions[-1], float(is_good(actions[-1])))
        hits += [is_good(action) for action in actions[-15:]]
    drawn = SelfEditSpace(ARC_TOOLS, seed=0)
    at_random = np.mean([is_good(drawn.sample()) for _ in range(1000)])
    assert at_random < 0.25
    assert np.mean(hits) > 2 * at_random


def test_tasks_are_searched_apart() -> None:
    agent, fresh = (SearchAgent(SPACE, seed=2) for _ in range(2))
    for _ in range(15):
        action = agent.act("one task", {})
        tell(agent, "one task", action, float(is_good(action)))
    assert [agent.act("another", {}) for _ in range(12)] == [fresh.act("another", {}) for _ in range(12)]


def test_batch_is_spread_out_and_valid() -> None:
    agent = SearchAgent(SPACE, seed=0)
    for _ in range(3):
        actions = [str(action) for action in agent.act_all(["a task"] * 8, [{}] * 8)]
        assert len(set(actions)) == 8
        assert all(SPACE.contains(action) for action in actions)
        for action in actions:
            tell(agent, "a task", action, float(is_good(action)))


def test_seed_fixes_what_is_drawn_next() -> None:
    agent, other = (SearchAgent(SPACE, seed) for seed in (0, 1))
    assert agent.act("a task", {}) != other.act("a task", {})
    agent.seed(5)
    other.seed(5)
    assert [agent.act("new", {}) for _ in range(3)] == [other.act("new", {}) for _ in range(3)]


def test_each_trial_is_told_once_and_failures_as_failures() -> None:
    agent = SearchAgent(SPACE, seed=0)
    good, failed, open_ = (agent.act("a task", {}) for _ in range(3))
    tell(agent, "a task", good, 1.0)
    tell(agent, "a task", good, 0.0)  # no such trial waits any more
    tell(agent, "a task", failed, math.nan)
    tell(agent, "another", SPACE.sample(), 1.0)
    trials = agent._studies["a task"].trials
    state = optuna.trial.TrialState
    assert [trial.state for trial in trials] == [state.COMPLETE, state.FAIL, state.RUNNING]
    assert (trials[0].value, open_ not in (good, failed)) == (1.0, True)


def test_another_space_and_an_empty_budget_are_refused() -> None:
    with pytest.raises(SettingError, match="SelfEditSpace"):
        SearchAgent(Text(5))
    with pytest.raises(SettingError, match="fresh"):
        SearchBudget(fresh=0)


@pytest.mark.slow
def test_search_beats_random_self_edits_on_the_embedded_model() -> None:
    settings = Settings.resolve(subset="mini-eval:4", max_turns=1, max_examples=12, decode="never")
    runtime = Runtime(settings)
    runtime.load()
    space = SelfEditSpace(ARC_TOOLS, {EPOCHS: (1, 3)})
    random_rewards = []
    search = Search(runtime, space, SearchBudget(trials=8, repeats=1, fresh=3))
    found = search.run(runtime.taskset.task_ids)
    for tried in search._rewards.values():
        random_rewards += [rewards[0] for rewards in tried.values()]  # before anything was known: at random
    assert float(np.mean([each.reward for each in found])) > float(np.mean(random_rewards))
