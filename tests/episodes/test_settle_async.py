"""Episodes on an event loop end as they do one call at a time, whatever runs beside them."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seal_env.domains.arc import ARC
from seal_env.episodes.continual import ContinualRuntime
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.episodes.settle_async import play_async, settle_async
from seal_env.errors import SettingError
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.settings import Settings
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.types import Answer, InnerLoop, Outcome, Step, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop, NotingInnerLoop

LONG = 3600.0
"""A window that no test waits for."""
EDIT = json.loads(ARC.default_self_edit)
EDIT[1]["arguments"] |= {"learning_rate": 0.003, "num_train_epochs": 2}
ACTIONS = [json.dumps(EDIT), ARC.no_update, "no JSON", json.dumps(EDIT)]


class Learner(FakeInnerLoop):
    """An updated model answers everything, the base model nothing; jobs of the seeds `broken` fail."""

    def __init__(self, broken: Sequence[int] = ()) -> None:
        super().__init__()
        self.broken = broken

    def result(self, job: UpdateJob) -> UpdateResult:
        if job.seed in self.broken:
            return UpdateResult(Outcome.ENGINE_ERROR, "lost", ())
        answers = tuple(Answer(query.query_id, job.learns, None, 1.0) for query in job.queries_Q)
        return UpdateResult(Outcome.OK, "", answers, losses_S=(1.0,) if job.learns else ())


class BrokenInnerLoop(FakeInnerLoop):
    """Has a bug."""

    def result(self, job: UpdateJob) -> UpdateResult:
        raise ZeroDivisionError


def make(inner_loop: InnerLoop | None = None, **settings: Any) -> Runtime:
    given = {"subset": "mini-eval:2", "max_examples": 4, "max_turns": 1, "device": "cpu", "cache": "off", **settings}
    runtime = Runtime(Settings.resolve(**given), inner_loop)
    runtime.load()
    return runtime


@pytest.fixture(scope="module")
def trained() -> Runtime:
    """Real updates of the bundled model."""
    runtime = make()
    runtime.use(NotingInnerLoop(runtime.inner_loop))
    return runtime


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def begun(runtime: Runtime, place: int = 0, seed: int = 3) -> Episode:
    return Episode(runtime, runtime.taskset[runtime.taskset.task_ids[place]], seed)


async def played(
    runtime: Runtime, engine: AsyncInnerLoop, cache: BaseAnswerCache, actions: Sequence[Any], place: int = 0
) -> list[Step]:
    """Each action in an episode and a task of asyncio of its own."""
    episodes = [begun(runtime, place, 3 + number) for number in range(len(actions))]
    each = (play_async([episode], [action], cache, engine) for episode, action in zip(episodes, actions, strict=True))
    return [step for (step,) in await asyncio.gather(*each)]


async def test_real_updates_end_as_by_one_synchronous_call_and_share_its_batch(trained: Runtime) -> None:
    places = [0, 1, 0, 0]
    expected = play([begun(trained, place) for place in places], ACTIONS, BaseAnswerCache(9))
    async with AsyncInnerLoop(trained.inner_loop, window_seconds=LONG, most=4) as engine:
        found = await play_async([begun(trained, place) for place in places], ACTIONS, BaseAnswerCache(9), engine)
    assert found == expected
    assert [bool(step.info.get("losses")) for step in found] == [True, False, False, True]
    assert all("predictions_after" in found[index].info for index in (0, 1, 3))
    assert isinstance(trained.inner_loop, NotingInnerLoop)
    assert trained.inner_loop.calls[0] == trained.inner_loop.calls[1]


async def test_two_episodes_of_one_task_at_once_are_each_scored_with_their_own_model() -> None:
    runtime, cache = make(Learner()), BaseAnswerCache(9)
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=LONG, most=4) as engine:
        steps = await played(runtime, engine, cache, [ACTIONS[0]] * 2)
    assert [(step.info["accuracy_before"], step.info["accuracy_after"], step.reward) for step in steps] == [(0, 1, 1)] * 2
    assert [step.info["losses"] for step in steps] == [[1.0], [1.0]]
    assert len(cache) == 1


async def test_base_model_is_asked_once_for_a_task_whose_answers_are_known() -> None:
    learner, cache = Learner(), BaseAnswerCache(9)
    runtime = make(learner)
    async with AsyncInnerLoop(learner, window_seconds=0) as engine:
        for _ in range(2):
            await played(runtime, engine, cache, ACTIONS[:1])
    assert [job.learns for job in learner.jobs] == [False, True, True]


async def test_answers_that_are_evicted_meanwhile_are_still_those_that_were_known() -> None:
    runtime, cache = make(Learner()), BaseAnswerCache(1)
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=0) as engine:
        await played(runtime, engine, cache, ACTIONS[:1])
        steps = await asyncio.gather(*(played(runtime, engine, cache, ACTIONS[:1], place) for place in (1, 0)))
    assert [step.reward for (step,) in steps] == [1.0, 1.0]


async def test_failure_of_one_job_is_never_a_reward_and_harms_no_other() -> None:
    runtime = make(Learner(broken=[4]))
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=0) as engine:
        fine, lost = await played(runtime, engine, BaseAnswerCache(9), [ACTIONS[0]] * 2)
    assert (fine.reward, fine.truncated) == (1.0, False)
    assert math.isnan(lost.reward)
    assert (lost.truncated, lost.info["outcome"]) == (True, Outcome.ENGINE_ERROR)


async def test_cancelled_episode_withdraws_its_jobs_and_can_be_settled_again() -> None:
    learner, cache = Learner(), BaseAnswerCache(9)
    runtime = make(learner)
    async with AsyncInnerLoop(learner, window_seconds=LONG, most=4) as engine:
        episode = begun(runtime)
        decision = episode.decide(ACTIONS[0])
        left = asyncio.create_task(settle_async([episode], [decision], cache, engine))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        assert learner.jobs == []
        other = begun(runtime)
        both = await asyncio.gather(
            settle_async([episode], [decision], cache, engine), play_async([other], ACTIONS[:1], cache, engine)
        )
    assert [step.reward for (step,) in both] == [1.0, 1.0]
    assert len(learner.calls[0]) == 4


async def test_no_folder_for_an_adapter_is_left_where_no_update_was_made(tmp_path: Path) -> None:
    runtime = make(Learner(), save_adapters=str(tmp_path))
    engine = AsyncInnerLoop(runtime.inner_loop)
    await engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        await play_async([begun(runtime)], ACTIONS[:1], BaseAnswerCache(9), engine)
    assert is_empty(tmp_path)
    runtime.use(BrokenInnerLoop())
    with pytest.raises(ZeroDivisionError):
        play([begun(runtime)], ACTIONS[:1], BaseAnswerCache(9))
    assert is_empty(tmp_path)


async def test_what_needs_no_update_needs_no_engine_that_is_open() -> None:
    runtime = make(Learner(), max_turns=2)
    engine = AsyncInnerLoop(runtime.inner_loop)
    await engine.close()
    (step,) = await play_async([begun(runtime)], ["no JSON"], BaseAnswerCache(9), engine)
    assert step.info["outcome"] == Outcome.NOT_JSON
    with pytest.raises(RuntimeError, match="closed"):
        await play_async([begun(runtime)], ACTIONS[:1], BaseAnswerCache(9), engine)


async def test_answers_are_scored_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, threads = make(Learner()), list[threading.Thread]()
    score = ArcDomain.score

    def noting(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return score(*given)

    monkeypatch.setattr(ArcDomain, "score", noting)
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=0) as engine:
        await played(runtime, engine, BaseAnswerCache(9), ACTIONS[:1])
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_bug_in_a_grader_is_raised_where_it_happens_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = make(Learner())
    score, bad = ArcDomain.score, runtime.taskset.task_ids[0]

    def buggy(domain: ArcDomain, task: Any, *rest: Any) -> Any:
        return score(domain, task, *rest) if task.task_id != bad else 1 / 0

    monkeypatch.setattr(ArcDomain, "score", buggy)
    async with AsyncInnerLoop(runtime.inner_loop, window_seconds=0) as engine:
        plays = [played(runtime, engine, BaseAnswerCache(9), ACTIONS[:1], place) for place in (0, 1)]
        broken, fine = await asyncio.gather(*plays, return_exceptions=True)
    assert isinstance(broken, ZeroDivisionError)
    assert not isinstance(fine, BaseException)
    assert fine[0].reward == 1.0


def test_episode_that_failed_while_it_decided_stays_over(monkeypatch: pytest.MonkeyPatch) -> None:
    episode = begun(make(Learner(), max_turns=3))
    apply = episode.drafting.apply

    def slow(calls: Any) -> Any:
        episode.fail(Outcome.ENGINE_ERROR, "the limit of time")
        return apply(calls)

    monkeypatch.setattr(episode.drafting, "apply", slow)
    episode.decide(json.dumps(EDIT[:1]))
    assert episode.over


async def test_passages_of_one_episode_are_written_about_in_turn_and_learned_together() -> None:
    learner = Learner()
    runtime = make(learner, domain="knowledge", subset="synthetic-train:4", passages=2)
    cache, episode = BaseAnswerCache(9), begun(runtime)
    async with AsyncInnerLoop(learner, window_seconds=0) as engine:
        (first,) = await play_async([episode], ["The lamp burns blue oil."], cache, engine)
        assert (first.terminated, first.info["segment"]["index"], learner.jobs) == (False, 1, [])
        (last,) = await play_async([episode], ["Blue oil burns."], cache, engine)
    assert (last.terminated, last.info["examples"]) == (True, 4)
    assert [job.learns for job in learner.jobs] == [False, True]


async def test_engine_of_another_model_is_refused_before_anything_is_decided() -> None:
    runtime, other = make(Learner()), Learner()
    episode = begun(runtime)
    with pytest.raises(SettingError, match=r"engine=.*AsyncInnerLoop\(runtime.inner_loop\)"):
        await play_async([episode], ACTIONS[:1], BaseAnswerCache(9), AsyncInnerLoop(other))
    assert not episode.over
    assert other.jobs == []


async def test_model_that_keeps_what_it_learns_is_refused() -> None:
    runtime = ContinualRuntime(make(Learner()).settings.model_copy(update={"sequence": 2}), Learner())
    with pytest.raises(SettingError, match="updates that build on each other cannot share a batch"):
        await play_async([begun(runtime)], ACTIONS[:1], BaseAnswerCache(9), AsyncInnerLoop(runtime.inner_loop))
