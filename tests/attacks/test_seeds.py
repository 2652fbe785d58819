"""Seeds: every one that Gymnasium allows begins episodes of its own, in one environment and in many."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from seal_env.domains.arc import ARC
from seal_env.envs.base import SealBaseEnv
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.env import SealEnv
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

SEEDS = (*range(5), *(2**power + offset for power in (31, 32, 33, 63, 64, 128) for offset in (-1, 0, 1, 3)), 10**40)
Started = list[tuple[str, int]]


class Untrained(FakeInnerLoop):
    def result(self, job: UpdateJob) -> UpdateResult:
        return UpdateResult(Outcome.OK, "", tuple(Answer(query.query_id, False, "?", -1.0) for query in job.queries_Q))


@pytest.fixture(autouse=True)
def _fake_inner_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: Untrained())


def started(env: SealBaseEnv) -> tuple[str, int]:
    """Task and seed of the episode."""
    assert env.episode is not None
    return env.episode.task.task_id, env.episode.seed


def alone(*seeds: int | None) -> Started:
    env, found = SealEnv(domain="arc"), []
    for seed in seeds:
        env.reset(seed=seed)
        found.append(started(env))
    return found


def together(envs: SyncVectorEnv) -> Started:
    return [started(env.unwrapped) for env in envs.envs]  # type: ignore[arg-type]


def make_many(kind: str, count: int = 3, **settings: Any) -> SyncVectorEnv:
    if kind == "SealVectorEnv":
        return SealVectorEnv(count, domain="arc", **settings)
    return SyncVectorEnv([lambda: SealEnv(domain="arc")] * count, **settings)


def test_seeds_of_any_size_are_different_seeds_that_pytorch_tells_apart() -> None:
    found = [seed for _, seed in alone(*SEEDS)]
    assert len(set(found)) == len({seed % 2**32 for seed in found}) == len(SEEDS)
    assert 0 <= min(found) <= max(found) < 2**63 - 2**32
    assert found == [seed for _, seed in alone(*SEEDS)]


def test_seeds_of_32_bits_are_used_as_they_are() -> None:
    assert [seed for _, seed in alone(0, 7, 2**31, 2**32 - 1)] == [0, 7, 2**31, 2**32 - 1]


@pytest.mark.parametrize("seed", [-1, 0.5, "0", np.float64(1), [1]])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(gymnasium.error.Error):
        SealEnv(domain="arc").reset(seed=seed)


@pytest.mark.parametrize("kind", ["SealVectorEnv", "SyncVectorEnv"])
@pytest.mark.parametrize("seed", [5, 2**31 - 1, 2**40])
def test_each_of_many_environments_is_one_with_a_seed_of_its_own(kind: str, seed: int) -> None:
    envs, found = make_many(kind), []
    for given in (seed, None, None):
        envs.reset(seed=given)
        found.append(together(envs))
    assert [list(each) for each in zip(*found, strict=True)] == [alone(seed + index, None, None) for index in range(3)]
    assert len({seed for each in found for _, seed in each}) == 9


@pytest.mark.parametrize("kind", ["SealVectorEnv", "SyncVectorEnv"])
def test_some_of_many_can_be_seeded_and_the_others_go_on(kind: str) -> None:
    envs = make_many(kind)
    envs.reset(seed=[5, 6, 7])
    envs.reset(seed=[None, 6, None])
    assert together(envs) == [alone(5, None)[1], alone(6)[0], alone(7, None)[1]]


def test_only_those_in_the_mask_begin_a_new_episode() -> None:
    envs = make_many("SealVectorEnv", autoreset_mode="Disabled")
    envs.reset(seed=5)
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    assert together(envs) == [alone(5)[0], alone(6, None)[1], alone(7)[0]]


@pytest.mark.parametrize("kind", ["SealVectorEnv", "SyncVectorEnv"])
def test_episodes_after_automatic_resets_have_seeds_of_their_own(kind: str) -> None:
    envs, found = make_many(kind, 2, autoreset_mode=AutoresetMode.SAME_STEP), []
    envs.reset(seed=5)
    for _ in range(3):
        envs.step([ARC.no_update] * 2)
        found.append(together(envs))
    assert [list(each) for each in zip(*found, strict=True)] == [alone(5, *[None] * 3)[1:], alone(6, *[None] * 3)[1:]]


def test_sequences_after_a_seeded_one_have_tasks_and_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[tuple[str, ...], int]] = []

    class Sequence:
        rehearsal = ()

        def __init__(self, runtime: object, tasks: Any, seed: int, *_: object) -> None:
            begun.append((tuple(task.task_id for task in tasks), seed))

        def opening(self) -> tuple[str, dict[str, Any]]:
            return "", {}

    monkeypatch.setattr("seal_env.envs.continual_env.TaskSequence", Sequence)
    monkeypatch.setattr("seal_env.episodes.continual.ContinualRuntime.load", lambda self: None)
    consolidation = type("Consolidation", (), {"reset": lambda: None})
    monkeypatch.setattr("seal_env.episodes.continual.ContinualRuntime.consolidation", consolidation)
    for _ in range(2):
        env = SealContinualEnv(domain="arc", subset="mini-train:9", sequence=3)
        for seed in (3, None, None, 2**31, 2**40):
            env.reset(seed=seed)
    assert begun[:5] == begun[5:]
    assert len({seed for _, seed in begun}) == 5
    assert len({tasks for tasks, _ in begun}) == 5
