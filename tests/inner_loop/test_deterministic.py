"""Results that are equal bit by bit, whatever runs beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from seal_env.inner_loop import inner_loop_on, make_inner_loop
from seal_env.inner_loop.cache.loop import CachedInnerLoop
from seal_env.inner_loop.deterministic import DeterministicInnerLoop, deterministic_algorithms
from seal_env.inner_loop.model.fingerprint import described
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.settings import Settings
from seal_env.types import Outcome, UpdateJob, UpdateResult
from tests.inner_loop.test_batched_inner_loop import JOBS


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


def test_job_alone_is_the_job_among_others_bit_by_bit(llama: FrozenLM) -> None:
    loop = inner_loop_on(llama, "batched", deterministic=True)
    (alone,) = loop.run([JOBS[1]])
    among = loop.run([JOBS[3], JOBS[1], JOBS[0]])[1]
    assert replace(among, timings={}) == replace(alone, timings={})


def test_jobs_run_one_at_a_time_with_deterministic_algorithms(llama: FrozenLM) -> None:
    class Noting:
        calls: tuple[tuple[int, bool], ...] = ()

        def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
            self.calls += ((jobs[0].seed, torch.are_deterministic_algorithms_enabled()),)
            return [UpdateResult("ok", "", ())]  # type: ignore[arg-type]

    inner = Noting()
    assert len(DeterministicInnerLoop(inner).run(JOBS[:2])) == 2  # type: ignore[arg-type]
    assert inner.calls == ((0, True), (1, True))
    assert not torch.are_deterministic_algorithms_enabled()


def test_threads_that_end_leave_the_algorithms_of_others_alone() -> None:
    class Slow:
        def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
            time.sleep(0.1)
            return [UpdateResult(Outcome.OK, str(torch.are_deterministic_algorithms_enabled()), ())]

    loop = DeterministicInnerLoop(Slow())  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as threads:
        running = []
        for _ in range(2):
            running.append(threads.submit(loop.run, JOBS[:1]))
            time.sleep(0.05)
    assert [each.result()[0].reason for each in running] == ["True", "True"]
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_was_set_before_is_set_again() -> None:
    with pytest.raises(ValueError, match="stop"), deterministic_algorithms():
        raise ValueError("stop")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


def test_setting_reaches_the_inner_loop(tiny_models: dict[str, str]) -> None:
    loops = [make_inner_loop("batched", tiny_models["llama"], "cpu", "on", deterministic=each) for each in (False, True)]
    assert all(isinstance(each, CachedInnerLoop) for each in loops)
    assert [isinstance(each.inner, DeterministicInnerLoop) for each in loops] == [False, True]  # type: ignore[attr-defined]
    keys = {each._key(JOBS[0]) for each in loops}  # type: ignore[attr-defined]
    assert len(keys) == 2
    assert Settings.resolve(deterministic=True).deterministic


def test_device_of_a_key_is_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA H200 {device.index}")
    assert described(torch.device("cuda", 1)) == "cuda NVIDIA H200 1"
    assert described(torch.device("cpu")) == "cpu"
