"""A real vLLM server on the CPU: protocol, adapters that come and go, and a server that is killed and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.agents.base import PolicyFailure
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.options import SAME, ServedPolicyOptions
from seal_env.agents.lm.served.openai_compatible import OpenAICompatibleAgent
from seal_env.agents.lm.served.probe import sample_prompt
from seal_env.domains.arc import ARC
from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.runtime import Runtime
from seal_env.errors import PolicyError
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.served import ServedEvaluation
from seal_env.models.catalog import MODEL_DIRECTORY
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages
from seal_env.self_edits.validate import check_calls
from seal_env.serving.client import ChatServer, run_async
from seal_env.settings import Settings
from seal_env.types import Answer, InvalidSelfEdit, Outcome, UpdateJob
from tests.helpers.tools import ARC_TOOLS
from tests.helpers.vllm_server import VllmServer, served

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    yield from served(tmp_path_factory.mktemp("vllm"), str(MODEL_DIRECTORY))


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    runtime = Runtime(Settings.resolve(subset="mini-train:4", max_turns=1, max_steps=1000))
    runtime.load()
    return runtime


@pytest.fixture(scope="module")
def observations(runtime: Runtime) -> list[str]:
    return [Episode(runtime, task, seed=0).opening()[0] for task in runtime.taskset]


def agent_of(server: VllmServer, seed: int = 0, **policy: Any) -> OpenAICompatibleAgent:
    usual = {"policy_model": SAME, "base_url": server.base_url, "timeout": 300.0, "max_new_tokens": 256}
    options, sample = (
        ServedPolicyOptions.checked(**{**usual, **policy}),
        chat_messages(sample_prompt(Runtime(Settings.resolve(subset="mini-train:1")))[0]),
    )
    return OpenAICompatibleAgent(options, PolicyChat(ARC_TOOLS), sample, seed)


def ask(agent: OpenAICompatibleAgent, observations: Sequence[str]) -> list[str | PolicyFailure]:
    return agent.act_all(observations, [{}] * len(observations))


def mistakes(actions: Sequence[str | PolicyFailure]) -> list[str]:
    """What is wrong with actions, apart from the order of their calls."""
    found = []
    for action in actions:
        assert isinstance(action, str), action
        calls = parse(action)
        if isinstance(calls, InvalidSelfEdit):
            found.append(calls.reason)
        else:
            checked = [check_calls([call], ARC_TOOLS) for call in calls]
            found += [each.reason for each in checked if isinstance(each, InvalidSelfEdit)]
    return found


def test_script_tells_what_runs(server: VllmServer) -> None:
    told = server.script("status")
    assert (told.returncode, f"{server.base_url} (process" in told.stdout) == (0, True)
    assert "it runs already" in server.script("start").stderr
    listening = Path("/proc/net/tcp").read_text().split()
    addresses = [place for place in listening if place.endswith(f":{server.port:04X}")]
    assert "0100007F" in {place.partition(":")[0] for place in addresses}
    assert "00000000" not in {place.partition(":")[0] for place in addresses}


def test_embedded_model_writes_its_own_self_edits(server: VllmServer, observations: list[str]) -> None:
    agent = agent_of(server, forms=("text",))
    actions = ask(agent, observations * 4)
    assert len(mistakes(actions)) <= 4
    assert len(set(actions)) > 4
    assert agent.contact is not None
    assert agent.contact.model == "base"
    assert agent.usage.completion_tokens > 16 * 20


NONSENSE = [f"Hello {number}" for number in range(4)]


def test_model_without_a_form_answers_nonsense_with_nonsense(server: VllmServer) -> None:
    agent = agent_of(server, forms=("text",))
    assert len(mistakes(ask(agent, NONSENSE))) == len(NONSENSE)


@pytest.mark.parametrize("form", ["tools", "structured_outputs", "json_schema"])
def test_forms_are_enforced(server: VllmServer, observations: list[str], form: str) -> None:
    agent = agent_of(server, forms=(form,))
    actions = ask(agent, [*observations, *NONSENSE])
    assert len(mistakes(actions)) <= agent.usage.cut_off < len(actions)


def test_probing_finds_a_form_for_whole_self_edits(server: VllmServer, observations: list[str]) -> None:
    agent = agent_of(server)
    actions = ask(agent, observations)
    assert agent.contact is not None
    assert agent.contact.form in ("tools", "structured_outputs"), agent.contact.findings
    assert all(parse(str(action))[-1].name == "finetune" for action in actions)  # type: ignore[index]


def test_equal_seeds_give_equal_actions(server: VllmServer, observations: list[str]) -> None:
    first, second, other = (ask(agent_of(server, seed, forms=("text",)), observations) for seed in (3, 3, 4))
    assert first == second != other


def jobs_of(runtime: Runtime) -> list[UpdateJob]:
    """For each task, asking the base model, and the usual self-edit."""
    jobs = []
    for task in runtime.taskset:
        episode = Episode(runtime, task, seed=0)
        update = episode.decide(ARC.default_self_edit)
        assert isinstance(update, PendingUpdate)
        job = episode.job(update)
        assert job is not None
        jobs += [episode.base_job(), job]
    return jobs


def said(answers_Q: Sequence[Answer]) -> list[tuple[bool, str | None]]:
    return [(answer.exact, answer.text) for answer in answers_Q]


def evaluation_of(server: VllmServer, at_once: int = 1) -> ServedEvaluation:
    base = load_base_model("seal-tiny", "cpu")
    return ServedEvaluation(BatchedInnerLoop(base), base.encoder, ChatServer(server.base_url), adapters_at_once=at_once)


@pytest.fixture(scope="module")
def engine(runtime: Runtime) -> list[list[bool]]:
    """Which answers are right, for each of the jobs, by the engine."""
    results = BatchedInnerLoop(load_base_model("seal-tiny", "cpu")).run(jobs_of(runtime))
    return [[answer.exact for answer in result.answers_Q] for result in results]


@pytest.mark.parametrize("at_once", [1, 4])
def test_adapters_are_swapped_and_leave_no_trace(
    server: VllmServer, runtime: Runtime, engine: list[list[bool]], at_once: int
) -> None:
    loop, jobs = evaluation_of(server, at_once), jobs_of(runtime)
    questions = jobs[::2]
    before, together, after = loop.run(questions), loop.run(jobs), loop.run(questions)
    assert {result.outcome for result in [*before, *together, *after]} == {Outcome.OK}
    base_answers = [[said(result.answers_Q) for result in results] for results in (before, together[::2], after)]
    assert base_answers[0] == base_answers[1] == base_answers[2]
    assert [said(result.answers_Q) for result in together[1::2]] != base_answers[0]
    assert [[answer.exact for answer in result.answers_Q] for result in together] == engine
    assert {exact for answers in engine for exact in answers} == {True, False}
    assert listed(server) == {"base"}


def listed(server: VllmServer) -> set[str]:
    async def models() -> set[str]:
        async with ChatServer(server.base_url).connect() as connection:
            return {model.id for model in await connection.models()}

    return run_async(models)


def test_environment_has_the_server_answer(server: VllmServer, runtime: Runtime, engine: list[list[bool]]) -> None:
    own: dict[str, Any] = {
        "subset": runtime.settings.subset,
        "max_turns": 1,
        "evaluator": "vllm",
        "evaluator_url": server.base_url,
    }
    env = gymnasium.make("SEAL-ARC-v0", **own)
    env.reset(seed=0, options={"task_id": runtime.taskset.task_ids[0]})
    _, _, _, truncated, info = env.step(ARC.default_self_edit)
    assert (truncated, info["outcome"]) == (False, "ok")
    shares = [sum(answers) / len(answers) for answers in engine[:2]]
    assert [info["accuracy_before"], info["accuracy_after"]] == shares
    assert listed(server) == {"base"}


def test_adapter_that_the_server_refuses_is_no_wrong_answer(server: VllmServer, runtime: Runtime) -> None:
    job = jobs_of(runtime)[1]
    result = evaluation_of(server).run([replace(job, lora=replace(job.lora, rank=256))])[0]
    assert (result.outcome, result.answers_Q) == (Outcome.ENGINE_ERROR, ())
    assert "rank" in result.reason


def test_killed_server_ends_in_failures_and_may_come_back(
    server: VllmServer, runtime: Runtime, observations: list[str]
) -> None:
    loop, jobs = evaluation_of(server), jobs_of(runtime)[:2]
    before = loop.run(jobs)
    agent = agent_of(server, forms=("text",), retries=0, concurrency=4)
    agent.act(observations[0], {})
    answered = agent.usage.completion_tokens
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, agent, observations * 50)
        while agent.usage.completion_tokens == answered and not asking.done():
            time.sleep(0.05)
        server.kill()
        actions = asking.result()
    failures = [action for action in actions if isinstance(action, PolicyFailure)]
    assert 0 < len(failures) < len(actions)
    assert all("no connection" in failure.reason for failure in failures)
    with pytest.raises(PolicyError, match="Check whether a server runs there"):
        ask(agent, observations)
    assert {(result.outcome, result.answers_Q) for result in loop.run(jobs)} == {(Outcome.ENGINE_ERROR, ())}
    assert server.script("status").returncode == 1
    server.start()
    assert [said(result.answers_Q) for result in loop.run(jobs)] == [said(result.answers_Q) for result in before]
    assert all(isinstance(action, str) for action in ask(agent, observations))
