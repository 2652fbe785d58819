"""The policy behind a server that fails: no failure becomes a reward, and each has a reason in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seal_env.agents.base import PolicyFailure
from seal_env.agents.lm.options import SAME
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.errors import PolicyError, SettingError
from seal_env.settings import Settings
from tests.helpers.servers import Fault, PolicyServer, agent_of, breaking_off, failing, fine, saying, sending, slow
from tests.helpers.tools import ARC_TOOLS

SPACE = SelfEditSpace(ARC_TOOLS)
MANY = [f"observation {number}" for number in range(12)]
NONE: list[dict[str, Any]] = [{}] * len(MANY)


@pytest.fixture
def server(policy_server: PolicyServer) -> PolicyServer:
    return policy_server


def only(observation: str, fault: Fault) -> Fault:
    """`fault` for the requests that show this observation."""
    return lambda body: fault(body) if body["messages"][-1]["content"] == observation else None


BROKEN: dict[str, tuple[Fault, str]] = {
    "an error": (failing(500), "HTTP 500: it failed"),
    "a refusal": (failing(400, "This model's maximum context length is 10 tokens."), "maximum context length"),
    "words": (sending("<html>Welcome to the hotel</html>", "text/html"), "not an answer of an OpenAI-compatible server"),
    "no JSON": (sending('{"choices": [{"mess'), "not an answer of an OpenAI-compatible server"),
    "other JSON": (sending('{"status": "ok"}'), "choices: Field required"),
    "nothing": (sending(""), "not an answer of an OpenAI-compatible server"),
    "no choice": (sending('{"choices": []}'), "at least 1 item"),
    "an empty choice": (sending('{"choices": [{"finish_reason": "stop"}]}'), "no text, no tool call and no token"),
    "no tokens": (saying(content="", tokens=0), "no text, no tool call and no token"),
    "a filter": (saying(content="", finish_reason="content_filter"), "'content_filter'"),
    "an abort": (saying(content="[", finish_reason="abort"), "'abort'"),
    "no ending": (saying(content="[", finish_reason=None), "finish_reason None"),
    "half a body": (breaking_off, "no connection"),
    "no time": (slow(6.0), "no answer within 2 seconds"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_failure_of_one_request_is_no_action(server: PolicyServer, broken: str) -> None:
    fault, reason = BROKEN[broken]
    agent = agent_of(server, timeout=2.0 if broken == "no time" else 600.0)
    agent.act("", {})
    server.always = only(MANY[4], fault)
    actions = agent.act_all(MANY, NONE)
    failed = actions.pop(4)
    assert isinstance(failed, PolicyFailure)
    assert reason in failed.reason
    assert all(isinstance(action, str) and SPACE.contains(action) for action in actions)
    assert agent.usage.failures == 1


@pytest.mark.parametrize("broken", BROKEN)
def test_failure_of_all_requests_names_server_model_and_what_to_check(server: PolicyServer, broken: str) -> None:
    fault, reason = BROKEN[broken]
    agent = agent_of(server, timeout=2.0 if broken == "no time" else 600.0)
    agent.act("", {})
    server.always = fault
    with pytest.raises(PolicyError) as raised:
        agent.act_all(MANY, NONE)
    message = str(raised.value)
    assert reason in message
    assert server.base_url in message
    assert "'policy'" in message
    assert "Check " in message


@pytest.mark.parametrize("broken", ["an error", "words", "nothing", "half a body", "no time", "a filter"])
def test_server_that_never_works_is_told_at_the_first_call(server: PolicyServer, broken: str) -> None:
    server.always = BROKEN[broken][0]
    with pytest.raises(PolicyError):
        agent_of(server, timeout=2.0).act("", {})


def test_episodes_whose_policy_could_not_be_asked_have_no_reward(server: PolicyServer) -> None:
    runtime = Runtime(Settings.resolve(subset="mini-train:3", max_turns=1, max_examples=4, max_steps=8))
    runtime.load()
    starts = [Start(task_id, seed=0) for task_id in runtime.taskset.task_ids]
    agent = agent_of(server, forms=("tools",))
    asked = iter([fine, fine, failing(500), fine])  # the first finds the form
    server.always = lambda body: next(asked)(body)
    trajectories = run_episodes(runtime, agent, starts, BaseAnswerCache(10))
    failed = [trajectory for trajectory in trajectories if trajectory.truncated]
    assert len(failed) == 1
    assert math.isnan(failed[0].reward)
    assert failed[0].info["outcome"] == "engine_error"
    assert "HTTP 500" in failed[0].info["reason"]
    assert all(trajectory.info["outcome"] == "ok" for trajectory in trajectories if not trajectory.truncated)


# Retries, and when there are none


def test_busy_server_is_asked_again_when_it_says_so(server: PolicyServer) -> None:
    agent = agent_of(server, retries=2)
    server.faults += [failing(429, Retry_After="0.01"), failing(503, Retry_After="0.01")]
    assert SPACE.contains(agent.act("", {}))
    assert (agent.usage.retries, agent.usage.failures) == (2, 0)


def test_retries_come_to_an_end(server: PolicyServer) -> None:
    agent = agent_of(server, retries=2)
    server.always = failing(429, "slow down", Retry_After="0.01")
    with pytest.raises(PolicyError, match=r"slow down.*Check the server's limits, and concurrency"):
        agent.act("", {})
    assert (len(server.seen), agent.usage.retries, agent.usage.failures) == (3, 2, 1)


def test_server_that_is_not_there_is_told_at_once() -> None:
    server = PolicyServer()
    with server.running():
        pass
    agent = agent_of(server, retries=50)
    with pytest.raises(PolicyError, match=r"no connection.*Check whether a server runs there"):
        agent.act_all(MANY, NONE)
    assert agent.usage.retries == 0


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (failing(401, "Incorrect API key provided"), "OPENAI_API_KEY"),
        (failing(403, "not yours"), "OPENAI_API_KEY"),
        (failing(404, "The model does not exist"), "policy_model"),
    ],
)
def test_request_that_can_never_succeed_is_not_repeated(server: PolicyServer, fault: Fault, check: str) -> None:
    server.always = fault
    agent = agent_of(server, retries=50)
    with pytest.raises(PolicyError, match=check):
        agent.act("", {})
    assert agent.usage.retries == 0


def test_model_that_is_not_served_is_told_with_those_that_are(server: PolicyServer) -> None:
    with pytest.raises(PolicyError, match=r"'polcy'.*it serves 'policy'"):
        agent_of(server, policy_model="polcy").act("", {})
    assert server.seen == []
    server.models.append({"id": "another"})
    with pytest.raises(SettingError, match=r"policy_model='same'.*'policy', 'another'"):
        agent_of(server, policy_model=SAME).act("", {})


def test_server_that_dies_and_comes_back(server: PolicyServer) -> None:
    agent = agent_of(server, retries=1, concurrency=4)
    before = agent.act_all(MANY, NONE)
    server.stop()
    with pytest.raises(PolicyError, match="no connection"):
        agent.act_all(MANY, NONE)
    assert agent.usage.retries <= 4  # those that waited for their turn were not sent
    server.start()
    after = agent.act_all(MANY, NONE)
    assert all(SPACE.contains(action) for action in [*before, *after])


def test_what_was_answered_before_the_server_died_is_kept(server: PolicyServer) -> None:
    agent = agent_of(server, forms=("tools",), concurrency=1)
    agent.act("", {})
    server.faults += [fine, fine, fine]
    server.always = breaking_off
    actions = agent.act_all(MANY, NONE)
    assert [isinstance(action, str) for action in actions] == [True] * 3 + [False] * (len(MANY) - 3)
    assert len(server.seen) == 2 + 3 + 1  # the rest was not sent
    server.always = None
    assert all(isinstance(action, str) for action in agent.act_all(MANY, NONE))
