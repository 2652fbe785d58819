"""`seal-env eval`: what its folder holds, and that it can be resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import sample_tasks, starts
from seal_env.agents.registry import make_agent
from seal_env.cli import main
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import MissingExtraError
from seal_env.experiments.config import ExperimentConfig
from seal_env.journal import Journal
from seal_env.settings import Settings
from tests.helpers.servers import PolicyServer, failing, fine

SMALL = ("--subset", "mini-eval:2", "--max-examples", "4")


def test_an_evaluation_is_written_shown_and_resumed(
    capsys: pytest.CaptureFixture[str], updates: list[int], cut: Callable[[Path, int], None]
) -> None:
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
    Path("other", "notes.txt").touch()
    assert main(("eval", "--agent", "none", *SMALL, "--out", "other")) == 2
    assert "is not a run folder of seal-env" in capsys.readouterr().err


def test_a_served_policy_is_measured_with_its_usage(policy_server: PolicyServer) -> None:
    assert main(("eval", "--agent", "openai_compatible", "--base-url", policy_server.base_url, *SMALL, "--out", "run")) == 0
    report = json.loads(Path("run/eval.json").read_text())
    assert report["valid"]["mean"] == 1.0
    assert report["usage"]["requests"] >= 10
    assert report["usage"]["failures"] == 0


def test_a_server_that_is_not_there_ends_in_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("eval", "--agent", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1", *SMALL, "--out", "run")
    assert main(command) == 2
    assert "the policy at http://127.0.0.1:9/v1 gives no answer" in capsys.readouterr().err
    assert not Path("run/eval.json").exists()
    assert not Journal(Path("run/samples.jsonl")).read()


def test_what_was_finished_before_a_server_failed_is_resumed(
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
def test_a_resumed_agent_that_learns_does_what_it_would_have_done(
    tmp_path: Path, name: str, cut: Callable[[Path, int], None]
) -> None:
    runtime = ExperimentConfig("SEAL-ARC-v0", {"subset": "mini-eval:2", "max_examples": 4}, {}, tmp_path).runtime()
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


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Settings.resolve(subset="mini-eval:1"))
    monkeypatch.delitem(sys.modules, "seal_env.agents.search.tpe", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna .*seal-env\[search\]"):
        make_agent("search", AgentContext.of(SealEnv(runtime=runtime)))
