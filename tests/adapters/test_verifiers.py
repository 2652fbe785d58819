"""`vf-eval` and `vf-replay` on our environments: rewards are those of Gymnasium, and updates of rollouts train together."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verifiers.v1", reason="verifiers is not installed: make .venv-verifiers/.installed")

from werkzeug import Response

from seal_env.adapters.verifiers import engines
from seal_env.agents.lm.chat import as_action
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.settings import Settings
from seal_env.types import Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import NotingInnerLoop
from tests.helpers.servers import OpenAIServer, as_tool_calls, chat, self_edit

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {"domain": "arc", "subset": "mini-train:2", "max_examples": 4, "max_steps": 4, "cache": "off"}


class ScriptedPolicy(OpenAIServer):
    """Writes self-edits, each another one: whole as a text, or one tool call a turn where tools are offered."""

    def __init__(self) -> None:
        super().__init__()
        self.says: str | None = None
        self._count, self._counting = 0, threading.Lock()
        self.serve("chat/completions", self._answer)

    def _answer(self, body: dict[str, Any]) -> Response:
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        with self._counting:
            self._count += 1
            calls = self_edit(0 if turn else self._count)
        for call in calls:
            call["arguments"] |= {"num_train_epochs": 1} if call["name"] == "training" else {}  # within the budget
        if self.says is not None:
            return chat(content=self.says)
        if "tools" not in body:
            return chat(content=f"<think>Hm.</think>{json.dumps(calls)}")
        return chat(tool_calls=as_tool_calls([calls[turn]]))


class FailingInnerLoop(NotingInnerLoop):
    """Where `fails`, no update succeeds."""

    fails = False

    def run(self, jobs: Any) -> list[UpdateResult]:
        results = super().run(jobs)
        failed = [replace(result, outcome=Outcome.ENGINE_ERROR, reason="the GPU is gone") for result in results]
        return [
            bad if self.fails and self._trains(job) else good for job, good, bad in zip(jobs, results, failed, strict=True)
        ]

    @staticmethod
    def _trains(job: UpdateJob) -> bool:
        return bool(job.examples_E)


@pytest.fixture(scope="module")
def policy() -> Iterator[ScriptedPolicy]:
    with ScriptedPolicy().running() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _plugin() -> Iterator[None]:
    folder = str(ROOT / "examples" / "verifiers")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def loaded() -> Runtime:
    runtime = Runtime(Settings.resolve(**SETTINGS))
    runtime.load()
    return runtime


def shared(loaded: Runtime, **settings: Any) -> tuple[str, FailingInnerLoop]:
    """The settings as an option's text, and the inner loop of the runtime that the plug-in will find for them."""
    given = SETTINGS | settings
    noted = FailingInnerLoop(loaded.inner_loop)
    engines._RUNTIMES[json.dumps(given, sort_keys=True)] = Runtime(Settings.resolve(**given), noted)
    return json.dumps(given), noted


def evaluate(policy: ScriptedPolicy | str, settings: str, out: Path, *options: str) -> list[dict[str, Any]]:
    """The episodes of a run of `vf-eval`."""
    from verifiers.v1.cli.eval.main import main

    address = policy if isinstance(policy, str) else policy.base_url
    about = ["--client.base-url", address, "--client.api-key-var", "NONE", "-m", "policy", "--no-push", "--no-rich"]
    main(["seal_env_verifiers", "--env.taskset.task.settings", settings, *about, "-o", str(out), *options])
    return episodes(out)


def episodes(out: Path) -> list[dict[str, Any]]:
    (found,) = out.rglob("traces.jsonl")
    return [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]


def reward(episode: dict[str, Any]) -> float:
    (trace,) = episode["traces"]
    return sum(each["score"] * each.get("weight", 1.0) for each in trace["rewards"].values())


def alone(loaded: Runtime, episode: dict[str, Any], **settings: Any) -> tuple[float, Any]:
    """The return and the last info of a saved trace's actions, played one episode at a time."""
    runtime = Runtime(Settings.resolve(**SETTINGS | settings), loaded.inner_loop)
    (trace,) = episode["traces"]
    data, total, info = trace["task"]["data"], 0.0, {}
    local = Episode(runtime, runtime.taskset[data["task_id"]], data["seed"])
    for message in (node["message"] for node in trace["nodes"] if node["message"]["role"] == "assistant"):
        calls = [
            {"name": call["name"], "arguments": json.loads(call["arguments"])} for call in message.get("tool_calls") or ()
        ]
        step = play([local], [json.dumps(calls) if calls else as_action(message["content"])], BaseAnswerCache(9))[0]
        total, info = total + step.reward, step.info
    return total, info


def test_one_shot_rollouts_share_updates_and_get_the_rewards_of_single_episodes(
    policy: ScriptedPolicy, loaded: Runtime, tmp_path: Path
) -> None:
    settings, noted = shared(loaded, max_turns=1)
    found = evaluate(
        policy, settings, tmp_path, "-r", "2", "--env.taskset.task.window", "60", "--env.taskset.task.batch", "8"
    )
    assert [len(jobs) for jobs in noted.calls] == [8]  # an update and the base model's answers for each of 4 rollouts
    assert {episode["traces"][0]["task"]["data"]["task_id"] for episode in found} == set(loaded.taskset.task_ids)
    for episode in found:
        expected, info = alone(loaded, episode, max_turns=1)
        assert episode["ok"]
        assert reward(episode) == expected
        kept = episode["traces"][0]["info"]["seal"]
        assert kept == {name: json.loads(json.dumps(info[name])) for name in kept}
        assert {"losses", "accuracy_after", "predictions_after", "gold", "outcome"} <= kept.keys()


def test_tools_are_called_one_by_one_and_saved_traces_are_scored_again(
    policy: ScriptedPolicy, loaded: Runtime, tmp_path: Path
) -> None:
    settings, noted = shared(loaded)
    found = evaluate(policy, settings, tmp_path / "run", "--env.agent.harness.form", "tools")
    for episode in found:
        assert sum(node["message"]["role"] == "tool" for node in episode["traces"][0]["nodes"]) == 2
        assert reward(episode) == alone(loaded, episode)[0]
    from verifiers.v1.cli.replay import main

    trained = len(noted.jobs)
    (source,) = (path.parent for path in (tmp_path / "run").rglob("traces.jsonl"))
    main([str(source), "--output-dir", str(tmp_path / "replay"), "--no-rich"])
    assert len(noted.jobs) > trained
    by_task = {episode["traces"][0]["task"]["data"]["task_id"]: reward(episode) for episode in found}
    assert {
        episode["traces"][0]["task"]["data"]["task_id"]: reward(episode) for episode in episodes(tmp_path / "replay")
    } == by_task


def test_a_policy_that_never_closes_its_self_edit_gets_the_reward_of_a_mistake(
    policy: ScriptedPolicy, loaded: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "says", "I would rotate the grids.")
    settings, noted = shared(loaded, max_turns=2, invalid_reward=-1.0)
    assert [reward(episode) for episode in evaluate(policy, settings, tmp_path / "mistakes")] == [-2.0, -2.0]
    monkeypatch.setattr(policy, "says", json.dumps(self_edit(0)[0]))
    found = evaluate(policy, settings, tmp_path / "open", "--env.agent.max-turns", "1")
    assert [reward(episode) for episode in found] == [-1.0, -1.0]
    assert [episode["traces"][0]["info"]["seal"]["outcome"] for episode in found] == ["missing_finetune"] * 2
    assert noted.calls == []


def test_infrastructure_failures_are_errors_of_a_rollout_and_no_rewards(
    policy: ScriptedPolicy, loaded: Runtime, tmp_path: Path
) -> None:
    settings, noted = shared(loaded, max_turns=1, max_examples=3)
    noted.fails = True
    for out, server in ((tmp_path / "update", policy), (tmp_path / "policy", "http://127.0.0.1:9/v1")):
        for episode in evaluate(server, settings, out):
            assert not episode["ok"]
            assert not any(each["score"] for each in episode["traces"][0]["rewards"].values() if each)
    assert "the GPU is gone" in json.dumps(episodes(tmp_path / "update"))


def test_a_limit_on_scoring_that_ends_an_update_is_an_error_and_no_reward(
    policy: ScriptedPolicy, loaded: Runtime, tmp_path: Path
) -> None:
    settings, _ = shared(loaded, max_turns=1)
    window = ("--env.taskset.task.window", "60", "--env.agent.timeout.scoring", "0.1")
    for episode in evaluate(policy, settings, tmp_path, *window):
        (trace,) = episode["traces"]
        assert (episode["ok"], trace["ok"]) == (False, False)
        assert "longer than --env.agent.timeout.scoring" in trace["errors"][0]["message"]
