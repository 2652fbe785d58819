"""`seal-env eval`, `train` and `reproduce`: folders that can be gone on with, and what is in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import sample_tasks, starts
from seal_env.agents.registry import make_agent
from seal_env.agents.search.tpe import search_tasks
from seal_env.agents.trainers.outer_settings import ARC_PRESETS, ARC_ROWS, GrpoSettings, RestEmSettings, SearchBudget
from seal_env.cli import main
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.experiments.outer_loops import Where
from seal_env.experiments.reproduce.presets import ARC as PRESETS
from seal_env.experiments.reproduce.presets import Preset as ArcPreset
from seal_env.experiments.reproduce.table import Reproduction, compare
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.journal import Journal
from seal_env.report import tracker
from seal_env.report.tracker import Tracker
from seal_env.settings import Settings
from tests.helpers.servers import PolicyServer, failing, fine

SMALL = ("--subset", "mini-eval:2", "--max-examples", "4")
POLICY = {"max_new_tokens": 72}


@pytest.fixture(autouse=True)
def _in_a_new_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each call of the inner loop had."""
    calls: list[int] = []
    run = BatchedInnerLoop.run

    def counted(self: BatchedInnerLoop, jobs: Any) -> Any:
        calls.append(len(jobs))
        return run(self, jobs)

    monkeypatch.setattr(BatchedInnerLoop, "run", counted)
    return calls


def cut(path: Path, records: int) -> None:
    """Leave the first records of a journal, and half of the next."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:records]) + lines[records][:20], encoding="utf-8")


def test_an_evaluation_is_written_shown_and_gone_on_with(capsys: pytest.CaptureFixture[str], updates: list[int]) -> None:
    command = ("eval", "--agent", "random", *SMALL, "--samples", "3", "--in-call", "2", "--out", "run")
    assert main(command) == 0
    report = json.loads(Path("run/eval.json").read_text())
    assert (report["agent"], report["subset"], report["tasks"], report["samples"]) == ("random", "mini-eval:2", 2, 6)
    assert list(report["pass_at"]) == ["1", "2", "3"]
    assert report["valid"]["mean"] == 1.0
    assert report["cost"]["tokens"] > report["cost"]["steps"] > 0
    assert all(part["low"] <= part["mean"] <= part["high"] for part in (report["accuracy"], *report["pass_at"].values()))
    assert list(Path("run/tensorboard").glob("events*"))
    shown = capsys.readouterr().out
    assert "random" in shown
    assert "pass@3" in shown
    cut(Path("run/samples.jsonl"), 1)
    updates.clear()
    Path("run/cache.sqlite").unlink()
    assert main(command) == 0
    assert len(Journal(Path("run/samples.jsonl")).read()) == 3
    assert sum(updates) < 4 + 2 * 2  # four of six self-edits, each of two tasks' base model at most once a call
    again = json.loads(Path("run/eval.json").read_text())
    for each in (report, again):
        del each["cost"]["seconds"]
    assert again == report


def test_a_folder_of_another_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("eval", "--agent", "none", *SMALL, "--samples", "1", "--out", "run")) == 0
    assert main(("eval", "--agent", "none", *SMALL, "--samples", "2", "--out", "run")) == 2
    assert "was begun with samples=1, not 2" in capsys.readouterr().err
    Path("other").mkdir()
    assert main(("eval", "--agent", "none", *SMALL, "--out", "other")) == 2
    assert "is no run of seal-env" in capsys.readouterr().err


def test_a_served_policy_is_measured_with_its_usage(policy_server: PolicyServer) -> None:
    assert main(("eval", "--agent", "openai_compatible", "--base-url", policy_server.base_url, *SMALL, "--out", "run")) == 0
    report = json.loads(Path("run/eval.json").read_text())
    assert report["valid"]["mean"] == 1.0
    assert report["usage"]["requests"] >= 10
    assert report["usage"]["failures"] == 0


def test_a_server_that_is_not_there_ends_in_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("eval", "--agent", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1", *SMALL, "--out", "run")
    assert main(command) == 2
    assert "the policy 'same' at http://127.0.0.1:9/v1 cannot be asked" in capsys.readouterr().err
    assert not Path("run/eval.json").exists()
    assert not Journal(Path("run/samples.jsonl")).read()


def test_what_was_finished_before_a_server_failed_is_kept_and_gone_on_with(
    policy_server: PolicyServer, capsys: pytest.CaptureFixture[str], updates: list[int]
) -> None:
    address = ("--base-url", policy_server.base_url, "--policy-model", "policy", "--retries", "0")
    command = ("eval", "--agent", "openai_compatible", *address, *SMALL, "--samples", "2", "--in-call", "2", "--out", "run")
    policy_server.faults.extend([fine] * 3 + [failing(503, "shutting down")] * 2)  # contact, the first batch, the second
    assert main(command) == 2
    assert "shutting down" in capsys.readouterr().err
    (first,) = Journal(Path("run/samples.jsonl")).read()
    assert [sample["outcome"] for sample in first["samples"]] == ["ok", "ok"]
    updates.clear()
    policy_server.be_fine()
    assert main(command) == 0
    report = json.loads(Path("run/eval.json").read_text())
    assert (report["samples"], report["failed"]) == (4, 0)
    assert Journal(Path("run/samples.jsonl")).read()[0] == first


def test_a_request_that_failed_is_no_reward(policy_server: PolicyServer) -> None:
    address = ("--base-url", policy_server.base_url, "--policy-model", "policy", "--retries", "0")
    policy_server.faults.extend([fine] * 2 + [failing(503, "overloaded")])
    command = ("eval", "--agent", "openai_compatible", *address, *SMALL, "--samples", "2", "--out", "run")
    assert main(command) == 0
    report = json.loads(Path("run/eval.json").read_text())
    assert (report["samples"], report["failed"], report["usage"]["failures"]) == (4, 1, 1)
    samples = Journal(Path("run/samples.jsonl")).read()[0]["samples"]
    (lost,) = [sample for sample in samples if sample["outcome"] == "engine_error"]
    assert (lost["reward"], lost["accuracy"]) == (None, None)
    assert "overloaded" in lost["reason"]


def test_run_asks_the_policy_that_its_options_name(policy_server: PolicyServer) -> None:
    address = ("--base-url", policy_server.base_url, "--temperature", "0.5")
    assert main(("run", "--agent", "openai_compatible", *address, *SMALL, "--max-turns", "1", "--out", "run")) == 0
    assert {request["temperature"] for request in policy_server.seen} == {0.5}
    assert "temperature = 0.5" in Path("run/settings.toml").read_text()


@pytest.mark.parametrize("name", ["search", "bandit"])
def test_an_agent_that_learns_goes_on_as_it_would_have(tmp_path: Path, name: str) -> None:
    runtime = Where({"subset": "mini-eval:2", "max_examples": 4}, {}, tmp_path).runtime()
    runtime.load()

    def run(path: Path) -> list[str]:
        agent = make_agent(name, AgentContext.of(SealEnv(runtime=runtime)))
        found = sample_tasks(runtime, agent, starts(runtime.taskset.task_ids, 6, 1), 4, Journal(path))
        return [sample.action for sample in found]

    whole = run(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes())
    cut(tmp_path / "cut", 2)
    assert run(tmp_path / "cut") == whole
    assert len(set(whole)) > 6


def test_a_search_of_many_tasks_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: list[int]) -> None:
    monkeypatch.setattr("seal_env.agents.search.tpe.TOGETHER", 1)
    runtime = Where({"subset": "mini-eval:3", "max_examples": 4}, {}, tmp_path).runtime()
    runtime.load()
    budget, space = SearchBudget(trials=2, width=2, finalists=2, repeats=1, fresh=1), SealEnv(runtime=runtime).action_space
    whole = search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found"))
    assert [found.task_id for found in whole] == list(runtime.taskset.task_ids)
    cut(tmp_path / "found", 2)
    assert search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found")) == whole
    updates.clear()
    assert search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found")) == whole
    assert updates == []


def test_training_begins_with_a_model_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"policy_adapter=.*'x'"):
        Where({}, {"policy_adapter": "x"}, tmp_path).policy_base()
    assert Where({}, {}, tmp_path).policy_base().name == "seal-tiny"


def test_rest_em_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--rounds", "1", "--samples", "2", "--eval-samples", "1", "--max-new-tokens", "72", "--max-examples", "4")
    command = ("train", "rest-em", "--subset", "mini-train:2", "--held-out", "mini-eval:1", *sizes, "--out", "run")
    assert main(command) == 0
    result = json.loads(Path("run/result.json").read_text())
    assert [part["samples"] for part in result["held_out"]] == [1, 1]
    assert result["rounds"][0]["sampled"]["samples"] == 4
    assert "untrained" in capsys.readouterr().out
    assert main((*command[:-2], "--out", "run", "--keep", "best")) == 2
    assert "keep='rewarded', not 'best'" in capsys.readouterr().err


def small(**settings: Any) -> ArcPreset:
    usual = ArcPreset(
        "for a test",
        "mini-train:2",
        "mini-eval:2",
        {"max_examples": 4},
        RestEmSettings(rounds=1, samples=2, eval_samples=1, sft_epochs=1),
        GrpoSettings(steps=1, prompts=1, samples=2, eval_samples=1),
        SearchBudget(trials=2, width=2, finalists=2, repeats=1, fresh=1),
        POLICY,
    )
    return replace(usual, **settings)


def reproduce(folder: Path, *rows: str, seeds: int = 2) -> dict[str, Any]:
    with (folder.parent / "said").open("a") as said:
        return Reproduction(small(), seeds, rows, Where({}, POLICY, folder), Console(file=said, width=160)).run()


def test_the_table_is_put_together_and_not_measured_twice(tmp_path: Path, updates: list[int]) -> None:
    table = reproduce(tmp_path / "table", "none", "untrained", "rest-em", "search")
    assert list(table["rows"]) == ["none", "untrained", "rest-em", "search"]
    assert all(len(row["by_seed"]) == 2 for row in table["rows"].values())
    assert table["rows"]["untrained"]["above_untrained"] is None
    assert table["rows"]["none"]["above_untrained"] is not None
    rest_em = json.loads((tmp_path / "table/seed-1/rest-em/result.json").read_text())
    assert table["rows"]["untrained"]["by_seed"][1] == pytest.approx(rest_em["held_out"][0]["accuracy"]["mean"])
    assert "self-edits after ReST-EM" in (tmp_path / "said").read_text()
    updates.clear()
    again = reproduce(tmp_path / "table", "none", "untrained", "rest-em", "search")
    assert updates == []
    assert again["rows"] == table["rows"]


@pytest.mark.slow
def test_grpo_is_a_row_and_measures_the_same_untrained_policy(tmp_path: Path) -> None:
    table = reproduce(tmp_path / "table", "untrained", "grpo", "rest-em", seeds=1)
    folder = tmp_path / "table/seed-0"
    before, untrained = (
        [
            [sample[name] for name in ("action", "accuracy")]
            for record in Journal(path).read()
            for sample in record["samples"]
        ]
        for path in (folder / "grpo/before/held-out.jsonl", folder / "rest-em/round-0/held-out.jsonl")
    )
    assert before == untrained
    assert set(table["rows"]) == {"untrained", "grpo", "rest-em"}


def test_rows_are_compared_task_by_task() -> None:
    untrained = [{"a": 0.0, "b": 1.0}, {"a": 0.5, "b": 0.5}]
    rows = compare(
        {"untrained": untrained, "search": [{"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 1.0}], "none": [{"a": 0.0}] * 2}
    )
    assert rows["untrained"]["accuracy"]["mean"] == 0.5
    assert rows["search"]["above_untrained"]["mean"] == pytest.approx(0.375)
    assert rows["search"]["by_seed"] == [1.0, 0.75]
    assert rows["none"]["above_untrained"]["mean"] == pytest.approx(-0.25)  # task b, which has no value, is left out
    assert rows["none"]["above_untrained"]["low"] == pytest.approx(-0.5)


@pytest.mark.parametrize(("seeds", "rows", "field"), [(0, ("none",), "seeds=0"), (1, ("all",), "rows='all'")])
def test_a_table_that_cannot_be_is_refused(tmp_path: Path, seeds: int, rows: tuple[str, ...], field: str) -> None:
    with pytest.raises(SettingError, match=field):
        reproduce(tmp_path / "table", *rows, seeds=seeds)


def test_presets_are_those_of_the_command_line_and_their_settings_are_legal() -> None:
    assert tuple(PRESETS) == ARC_PRESETS
    assert set(ARC_ROWS) == {"none", "untrained", "grpo", "rest-em", "search"}
    for preset in PRESETS.values():
        assert Settings.resolve(subset=preset.held_out, **preset.environment).subset == preset.held_out


class Service(SimpleNamespace):
    """What Weights & Biases and trackio have in common."""

    def __init__(self) -> None:
        super().__init__(begun=[], logged=[], finished=0)

    def init(self, **about: Any) -> None:
        self.begun.append(about)

    def log(self, values: Any, step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished += 1


def test_numbers_go_to_tensorboard_and_to_the_services_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    monkeypatch.setattr(tracker, "import_module", lambda name: service)
    with Tracker(tmp_path, {"seed": 1}, ("trackio",)) as track:
        track.log(3, {"accuracy": 0.5})
    assert service.begun[0]["config"] == {"seed": 1}
    assert service.logged == [(3, {"accuracy": 0.5})]
    assert service.finished == 1
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"accuracy" in events.read_bytes()


def missing(name: str) -> Any:
    raise ImportError(name)


@pytest.mark.parametrize(("name", "legal"), [("wandb", "pip install wandb"), ("mlflow", "'wandb' or 'trackio'")])
def test_a_service_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, legal: str
) -> None:
    monkeypatch.setattr(tracker, "import_module", missing)
    with pytest.raises(SettingError, match=legal):
        Tracker(tmp_path, {}, (name,))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Settings.resolve(subset="mini-eval:1"))
    monkeypatch.setitem(__import__("sys").modules, "seal_env.agents.search.tpe", None)
    with pytest.raises(SettingError, match=r"seal-env\[search\]"):
        make_agent("search", AgentContext.of(SealEnv(runtime=runtime)))
