"""The cache: what is found, what is run, what is kept, and what becomes of a file that is not as it should be."""

from __future__ import annotations

import io
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from rich.console import Console

from seal_env.domains.arc import ARC
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.run import run
from seal_env.experiments.settings import RunSettings
from seal_env.inner_loop import INNER_LOOPS, make_inner_loop
from seal_env.inner_loop.cache.loop import CachedInnerLoop, CacheStatistics, statistics_of
from seal_env.inner_loop.cache.results import RESULTS, open_store
from seal_env.store import Store, cache_path
from seal_env.types import (
    Answer,
    Example,
    LoraSpec,
    Message,
    Outcome,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
    UpdateResult,
)

SAID = Example((Message("user", "Repeat."), Message("assistant", "1 2")))
ASKED = Query("first", (Message("user", "What is it?"),), "one two")
JOB = UpdateJob((SAID,), TrainingConfig(), LoraSpec(4, 8.0), Recipe(), 0, (ASKED,))
OTHER = replace(JOB, seed=1)
RESULT = UpdateResult(
    Outcome.OK, "", (Answer("first", False, "one\n\u2028 文", -0.125),), (1.5, 0.1), 17, 2, {"train_seconds": 3.0}
)
REAL: dict[str, Any] = {"max_examples": 4, "max_steps": 6, "subset": "mini-train:1"}


class FakeInnerLoop:
    """Gives every job a result of its own and remembers the calls."""

    def __init__(self, outcome: Outcome = Outcome.OK) -> None:
        self.outcome = outcome
        self.calls: list[list[UpdateJob]] = []

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        return [3 for _ in examples]

    def max_tokens(self, recipe: Recipe) -> int:
        return 100 + recipe.batch_size

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        self.calls.append(list(jobs))
        return [replace(RESULT, outcome=self.outcome, losses_S=(float(job.seed),), adapter=job.save_to) for job in jobs]


def by_seed(job: UpdateJob) -> str:
    return f"seed {job.seed}"


def cached(store: Store[UpdateResult] | None = None, outcome: Outcome = Outcome.OK) -> tuple[CachedInnerLoop, FakeInnerLoop]:
    fake = FakeInnerLoop(outcome)
    return CachedInnerLoop(fake, by_seed, store or Store(None, RESULTS)), fake


def seeds(jobs: Sequence[UpdateJob]) -> list[int]:
    return [job.seed for job in jobs]


def losses(results: Sequence[UpdateResult]) -> list[float]:
    return [result.losses_S[0] for result in results]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "cache.sqlite"


def known(result: UpdateResult) -> UpdateResult:
    return replace(result, timings={})


def test_job_that_is_known_is_not_run_again() -> None:
    loop, fake = cached()
    fresh = loop.run([JOB])[0]
    again = loop.run([JOB])[0]
    assert len(fake.calls) == 1
    assert known(again) == known(fresh)
    assert fresh.timings == RESULT.timings
    assert set(again.timings) == {"cache_seconds"}


@pytest.mark.parametrize("answers", [(), ("other",), ("first", "first"), ("first", "second")])
def test_result_that_answers_other_queries_is_run_again(answers: tuple[str, ...]) -> None:
    store = Store(None, RESULTS)
    store.add({by_seed(JOB): replace(RESULT, answers_Q=tuple(Answer(each, True, "x", 1.0) for each in answers))})
    loop, fake = cached(store)
    with pytest.warns(RuntimeWarning, match="answers other queries than its job has"):
        assert loop.run([JOB])[0].answers_Q == RESULT.answers_Q
    assert loop.statistics.misses == len(fake.calls) == 1
    assert loop.run([JOB])[0].answers_Q == RESULT.answers_Q
    assert len(fake.calls) == 1


def test_misses_are_run_in_one_call_and_results_come_in_the_order_of_the_jobs() -> None:
    loop, fake = cached()
    loop.run([replace(JOB, seed=2)])
    jobs = [replace(JOB, seed=seed) for seed in (3, 2, 1, 3, 0, 1)]
    assert losses(loop.run(jobs)) == seeds(jobs)
    assert [seeds(call) for call in fake.calls] == [[2], [3, 1, 0]]


def test_equal_jobs_of_one_call_share_one_run() -> None:
    loop, fake = cached()
    one, two, three = loop.run([JOB, JOB, replace(JOB)])
    assert [len(call) for call in fake.calls] == [1]
    assert known(one) == known(two) == known(three)
    assert loop.statistics == CacheStatistics(hits=0, shared=2, misses=1)


def test_nothing_to_run_is_no_call() -> None:
    loop, fake = cached()
    assert loop.run([]) == []
    loop.run([JOB])
    loop.run([JOB, JOB])
    assert len(fake.calls) == 1


def test_statistics_count_every_job_once() -> None:
    loop, _ = cached()
    loop.run([JOB, JOB, OTHER])
    before = loop.statistics
    loop.run([JOB, OTHER, replace(JOB, seed=2)])
    assert loop.statistics == CacheStatistics(hits=2, shared=1, misses=3)
    assert loop.statistics.since(before) == CacheStatistics(hits=2, shared=0, misses=1)
    assert (loop.statistics.jobs, loop.statistics.hit_rate) == (6, 0.5)
    assert CacheStatistics().hit_rate == 0.0


def test_only_loops_that_remember_have_counts() -> None:
    loop, fake = cached()
    loop.run([JOB])
    assert statistics_of(loop).jobs == 1
    assert statistics_of(fake).jobs == 0


@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_MEMORY, Outcome.ENGINE_ERROR])
def test_failures_of_the_machine_are_never_kept(outcome: Outcome) -> None:
    loop, fake = cached(outcome=outcome)
    assert [result.outcome for result in loop.run([JOB, JOB])] == [outcome, outcome]
    fake.outcome = Outcome.OK
    assert loop.run([JOB])[0].outcome is Outcome.OK
    assert len(fake.calls) == 2


def test_updates_that_diverged_are_kept() -> None:
    loop, fake = cached(outcome=Outcome.DIVERGED)
    assert [loop.run([JOB])[0].outcome for _ in range(2)] == [Outcome.DIVERGED] * 2
    assert len(fake.calls) == 1


def test_job_that_saves_is_always_run_and_its_result_is_kept(tmp_path: Path) -> None:
    loop, fake = cached()
    saving = [replace(JOB, save_to=tmp_path / name) for name in ("a", "b")]
    loop.run(saving)
    assert [result.adapter for result in loop.run([JOB, saving[0]])] == [None, tmp_path / "a"]
    assert [[job.save_to for job in call] for call in fake.calls] == [[tmp_path / "a", tmp_path / "b"], [tmp_path / "a"]]
    assert loop.statistics == CacheStatistics(hits=1, shared=0, misses=3)


def test_job_that_does_not_save_shares_the_run_of_one_that_does(tmp_path: Path) -> None:
    loop, fake = cached()
    loop.run([JOB, replace(JOB, save_to=tmp_path), JOB, OTHER])
    assert [(job.seed, job.save_to) for job in fake.calls[0]] == [(0, tmp_path), (1, None)]


def test_tokens_are_counted_by_the_inner_loop() -> None:
    loop, _ = cached()
    assert (loop.count_tokens([SAID, SAID]), loop.max_tokens(Recipe(batch_size=7))) == ([3, 3], 107)


def test_read_only_cache_is_used_and_not_written(path: Path) -> None:
    cached(Store(path, RESULTS))[0].run([JOB])
    before = path.read_bytes()
    loop, fake = cached(Store(path, RESULTS, writable=False))
    assert losses(loop.run([JOB, OTHER])) == [0.0, 1.0]
    assert seeds(fake.calls[0]) == [1]
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert Store(path, RESULTS).find(["seed 1"]) == {}


def test_place_that_cannot_be_written_is_a_warning_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    loop, fake = cached(Store(tmp_path / "file" / "cache.sqlite", RESULTS))
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="cannot be used"):
            assert losses(loop.run([JOB])) == [0.0]
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("place", "file"),
    [
        ("new/results.db", "new/results.db"),
        ("new/folder", "new/folder/cache.sqlite"),
        ("folder.d", "folder.d/cache.sqlite"),
        ("plain", "plain"),
    ],
)
def test_place_is_a_file_or_a_directory(place: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.d").mkdir()
    (tmp_path / "plain").touch()
    monkeypatch.chdir(tmp_path)
    assert cache_path(place) == tmp_path / file
    monkeypatch.setenv("SEAL_ENV_CACHE", place)
    assert cache_path() == tmp_path / file


def test_file_that_is_named_goes_before_the_environment_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_path() is None
    monkeypatch.setenv("SEAL_ENV_CACHE", "")
    assert cache_path() is None
    monkeypatch.setenv("SEAL_ENV_CACHE", str(tmp_path / "a.sqlite"))
    assert cache_path(str(tmp_path / "b.sqlite")) == tmp_path / "b.sqlite"


def test_one_store_for_one_place(tmp_path: Path) -> None:
    assert open_store(tmp_path / "a", True) is open_store(tmp_path / "a", True)
    assert open_store(tmp_path / "a", True) is not open_store(tmp_path / "b", True)


@pytest.mark.parametrize("engine", INNER_LOOPS)
def test_real_results_are_the_same_with_and_without(engine: str, tiny_models: dict[str, str], tmp_path: Path) -> None:
    model, file = tiny_models["llama"], str(tmp_path / "cache.sqlite")
    jobs = [JOB, replace(JOB, examples_E=()), replace(JOB, training=TrainingConfig(learning_rate=0.1)), JOB]
    fresh = make_inner_loop(engine, model, "cpu").run(jobs[:3])
    first = make_inner_loop(engine, model, "cpu", "on", file).run(jobs)
    loop = make_inner_loop(engine, model, "cpu", "read", file)
    again = loop.run(jobs)
    assert [known(result) for result in [*fresh, fresh[0]]] == [known(result) for result in first]
    assert [known(result) for result in again] == [known(result) for result in first]
    assert fresh[0].answers_Q != fresh[1].answers_Q
    assert statistics_of(loop) == CacheStatistics(hits=4)
    assert statistics_of(make_inner_loop(engine, model, "cpu", "on", file)) == CacheStatistics(shared=1, misses=3)


def test_engines_and_places_have_loops_of_their_own(tiny_models: dict[str, str], tmp_path: Path) -> None:
    def make(cache: str = "off", file: str | None = None) -> object:
        return make_inner_loop("reference", tiny_models["llama"], "cpu", cache, file)

    plain, loop = make(), make("on", str(tmp_path))
    assert isinstance(loop, CachedInnerLoop)
    assert loop.inner is plain is make("off", str(tmp_path))
    assert loop is make("on", str(tmp_path)) is not make("read", str(tmp_path))
    assert loop is not make("on", str(tmp_path / "other"))


def test_memory_of_the_process_serves_all_environments() -> None:
    found = []
    for _ in range(2):
        env = gymnasium.make("SEAL-ARC-Mini-v0", **REAL)
        env.reset(seed=11)
        found.append((env.step(ARC.default_self_edit), env.unwrapped.last_timings))  # type: ignore[attr-defined]
    (first, fresh), (second, repeated) = found
    assert first == second
    assert "train_seconds" in fresh
    assert "cache_seconds" in repeated
    assert "train_seconds" not in repeated


@pytest.mark.parametrize(("cache", "kept"), [("on", True), ("off", False)])
def test_environment_keeps_results_where_the_variable_says(
    cache: str, kept: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEAL_ENV_CACHE", str(tmp_path / "results"))
    env = gymnasium.make("SEAL-ARC-Mini-v0", cache=cache, **REAL)
    env.reset(seed=0)
    env.step(ARC.default_self_edit)
    assert (tmp_path / "results" / "cache.sqlite").exists() == kept


FILES = [".lock", "episodes.jsonl", "finished", "settings.toml"]
"""Of every run that has ended."""


def run_twice(out: Path, **settings: str) -> str:
    """A run of two equal episodes: one evaluation of the base model and two equal updates. What it printed."""
    console = Console(record=True, file=io.StringIO(), width=160)
    config = ExperimentConfig("SEAL-ARC-Mini-v0", REAL | settings, {}, out)
    run("fixed", RunSettings(episodes=2), config, console)
    return console.export_text()


def test_run_keeps_results_in_its_folder_and_reports_the_hit_rate(tmp_path: Path) -> None:
    printed = run_twice(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == sorted([*FILES, "cache.json", "cache.sqlite"])
    assert "cache     0.00 hit rate (0 of 3 updates and base evaluations)" in printed  # each episode has a seed of its own
    counts = json.loads((tmp_path / "run" / "cache.json").read_text(encoding="utf-8"))
    assert counts == {"hits": 0, "shared": 0, "misses": 3, "hit_rate": 0.0}
    assert tomllib.loads((tmp_path / "run" / "settings.toml").read_text(encoding="utf-8"))["environment"]["cache"] == "on"


def test_runs_share_the_file_that_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL_ENV_CACHE", str(tmp_path / "all.sqlite"))
    assert "0.00 hit rate (0 of 3 " in run_twice(tmp_path / "one")
    printed = run_twice(tmp_path / "two")
    assert "1.00 hit rate (3 of 3 updates and base evaluations)" in printed
    assert "4 steps, cached" in printed
    assert sorted(os.listdir(tmp_path / "two")) == sorted([*FILES, "cache.json"])


def test_run_without_a_cache_speaks_of_none(tmp_path: Path) -> None:
    assert "hit rate" not in run_twice(tmp_path / "run", cache="off")
    assert sorted(os.listdir(tmp_path / "run")) == FILES


def test_run_that_reads_from_nowhere_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cache='read'"):
        run_twice(tmp_path / "run", cache="read")
    assert os.listdir(tmp_path) == []


def test_reading_from_nowhere_is_an_error() -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", cache="read", **REAL)
    with pytest.raises(SettingError, match=r"cache='read' is not legal; expected .* cache_file or SEAL_ENV_CACHE"):
        env.reset(seed=0)


def test_unknown_mode_is_named() -> None:
    with pytest.raises(SettingError, match="cache='yes' is not legal; expected 'on' or 'read' or 'off'"):
        gymnasium.make("SEAL-ARC-Mini-v0", cache="yes")
