"""The policy behind a server: what it is asked, and what is made of its answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import gymnasium
import pytest
from jsonschema import Draft202012Validator

from seal_env.agents.context import AgentContext
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.sampling import Generation
from seal_env.agents.lm.options import SAME, ServedPolicyOptions
from seal_env.agents.lm.served.forms import FORMS
from seal_env.agents.lm.served.openai_compatible import OpenAICompatibleAgent
from seal_env.agents.registry import make_agent
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import PolicyError, SettingError
from seal_env.self_edits.parse_calls import parse
from seal_env.tools.registry import openai_tools, self_edit_schema
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall
from tests.helpers.servers import (
    Fault,
    PolicyServer,
    agent_of,
    as_tool_calls,
    breaking_off,
    chat,
    error,
    form_of,
    saying,
    self_edit,
    sending,
    slow,
    waiting,
)
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS

SPACE = SelfEditSpace(ARC_TOOLS)
MANY = [f"observation {number}" for number in range(12)]
NONE: list[dict[str, Any]] = [{}] * len(MANY)


@pytest.fixture
def server(policy_server: PolicyServer) -> PolicyServer:
    return policy_server


# What is asked


def test_probing_takes_strict_tools_where_they_work(server: PolicyServer) -> None:
    agent = agent_of(server)
    action = agent.act("the task", {})
    message = json.loads(action)
    assert message["role"] == "assistant"
    assert [call["function"]["name"] for call in message["tool_calls"]] == ARC_NAMES
    assert SPACE.contains(action)
    request = server.seen[-1]
    assert request["tools"] == openai_tools(ARC_TOOLS)
    assert all(tool["function"]["strict"] for tool in request["tools"])
    assert (request["tool_choice"], request["parallel_tool_calls"]) == ("required", True)
    assert request["messages"][-1] == {"role": "user", "content": "the task"}


@pytest.mark.parametrize("refusal", [400, 422, 501, None])
@pytest.mark.parametrize(
    ("knows", "used"),
    [(("structured_outputs", "json_schema"), "structured_outputs"), (("json_schema",), "json_schema"), ((), "text")],
)
def test_probing_takes_the_strictest_form_that_shows(
    server: PolicyServer, knows: tuple[str, ...], used: str, refusal: int | None
) -> None:
    server.knows, server.refusal = set(knows), refusal
    agent = agent_of(server)
    actions = agent.act_all(MANY, NONE)
    assert all(SPACE.contains(action) for action in actions)
    assert {form_of(body) for body in server.seen[-len(MANY) :]} == {used}
    assert agent.contact is not None
    assert (agent.contact.form, agent.contact.findings[-1].reason) == (used, "")
    tried = list(FORMS)[: list(FORMS).index(used) + 1]
    assert [finding.form for finding in agent.contact.findings] == tried
    assert all(finding.reason for finding in agent.contact.findings[:-1])


def test_schemas_are_the_tools_own(server: PolicyServer) -> None:
    agent_of(server, forms=("structured_outputs",)).act("", {})
    agent_of(server, forms=("json_schema",)).act("", {})
    whole = Draft202012Validator(server.seen[0]["structured_outputs"]["json"])
    assert all(whole.is_valid(self_edit(seed)) for seed in range(5))
    assert not any(whole.is_valid(part) for part in (self_edit(0)[:2], self_edit(0)[::-1], self_edit(0) * 2))
    schema = server.seen[-1]["response_format"]["json_schema"]
    assert schema["schema"]["properties"]["tool_calls"] == self_edit_schema(ARC_TOOLS)
    assert schema["strict"] is True


@pytest.mark.parametrize(
    "arguments",
    ["en", "null", '{"use_basic_augmentations": "yes"}', '{"no_such_argument": 1}'],
    ids=["word", "null", "type", "key"],
)
def test_a_server_that_does_not_enforce_the_tools_schema_is_not_asked_for_tools(
    server: PolicyServer, arguments: str
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "augment", "arguments": arguments}}
    server.faults.append(saying(tool_calls=[call]))
    agent = agent_of(server)
    assert SPACE.contains(agent.act("", {}))
    assert agent.contact is not None
    assert agent.contact.form == "structured_outputs"


def test_a_model_that_leaves_out_finetune_is_not_asked_for_tools(server: PolicyServer) -> None:
    server.faults.append(saying(tool_calls=as_tool_calls(self_edit(0)[:1])))
    agent = agent_of(server)
    agent.act("", {})
    assert agent.contact is not None
    assert agent.contact.findings[0].reason == "the answer is not closed by finetune"


@pytest.mark.parametrize("fault", [sending("<html></html>", "text/html"), saying(finish_reason=None, content="")])
def test_a_server_that_sends_no_answer_to_a_form_is_asked_in_another(server: PolicyServer, fault: Fault) -> None:
    server.faults += [fault, fault]
    agent = agent_of(server)
    assert SPACE.contains(agent.act("", {}))
    assert agent.contact is not None
    assert agent.contact.form == "json_schema"
    assert all(finding.reason for finding in agent.contact.findings[:-1])


def test_a_server_that_breaks_off_while_a_form_is_looked_for_is_no_finding(server: PolicyServer) -> None:
    server.faults.append(breaking_off)
    with pytest.raises(PolicyError, match="no connection"):
        agent_of(server).act("", {})


def test_probing_happens_once_and_asks_the_same_in_every_run(server: PolicyServer) -> None:
    agent = agent_of(server)
    for _ in range(3):
        agent.act("", {})
    assert len(server.seen) == 1 + 3
    agent.seed(1)
    agent.act("", {})
    assert len(server.seen) == 1 + 3 + 1
    agent_of(server, seed=7).act("another observation", {})
    assert server.seen[5] == server.seen[0] != server.seen[6]


def test_single_form_is_used_as_it_is(server: PolicyServer) -> None:
    agent = agent_of(server, forms=("text",))
    assert agent.act("", {}) == json.dumps(self_edit(server.seen[-1]["seed"]))
    assert {form_of(body) for body in server.seen} == {"text"}


def test_settings_reach_the_server(server: PolicyServer) -> None:
    agent_of(server, temperature=0.3, max_new_tokens=77).act("", {})
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in server.seen} == {("policy", 0.3, 77)}


def test_length_is_asked_for_in_the_field_that_the_server_wants(server: PolicyServer) -> None:
    refusal = error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    server.always = lambda body: refusal if "max_tokens" in body else None
    agent = agent_of(server, max_new_tokens=77)
    assert SPACE.contains(agent.act("", {}))
    assert server.seen[-1]["max_completion_tokens"] == 77
    assert agent.contact is not None
    assert agent.contact.form == "tools"


def test_key_and_address_come_from_the_environment(server: PolicyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-tests")
    agent_of(server, base_url=None).act("", {})
    assert server.headers[0]["Authorization"] == "Bearer key-of-the-tests"


def test_same_is_the_only_model_whose_adapters_do_not_count(server: PolicyServer) -> None:
    server.models.append({"id": "adapter", "parent": "policy"})
    agent = agent_of(server, policy_model=SAME)
    agent.act("", {})
    assert agent.contact is not None
    assert (agent.contact.model, agent.contact.served) == ("policy", ("policy", "adapter"))


def test_server_that_cannot_list_its_models_is_asked_for_the_named_one(server: PolicyServer) -> None:
    server.be_fine(models=())
    assert SPACE.contains(agent_of(server).act("", {}))
    with pytest.raises(SettingError, match="none that it lists"):
        agent_of(server, policy_model=SAME).act("", {})


# Seeds, concurrency, event loops


def test_equal_seeds_give_equal_actions_in_whatever_order_answers_come(server: PolicyServer) -> None:
    first = agent_of(server, seed=5)
    expected = [*first.act_all(MANY, NONE), first.act("", {})]
    server.always = lambda body: slow(0.05 * (body["seed"] % 3))(body)
    second = agent_of(server, seed=5)
    assert [*second.act_all(MANY[:7], NONE[:7]), *second.act_all(MANY[7:], NONE[7:]), second.act("", {})] == expected
    assert len(set(expected)) == len(expected)
    assert agent_of(server, seed=6).act_all(MANY, NONE) != expected[:-1]
    first.seed(6)
    assert first.act_all(MANY, NONE) == agent_of(server, seed=6).act_all(MANY, NONE)


@pytest.mark.parametrize("concurrency", [1, 3, 12])
def test_as_many_requests_are_on_their_way_as_allowed(concurrency: int) -> None:
    with PolicyServer().running() as server:
        server.always = waiting(lambda: server.most >= concurrency)
        agent_of(server, forms=("tools",), concurrency=concurrency).act_all(MANY, NONE)
        assert server.most == concurrency


async def test_asynchronous_callers_share_an_agent(server: PolicyServer) -> None:
    agent = agent_of(server)
    parts = await asyncio.gather(*(agent.act_all_async(MANY[start : start + 4], NONE[:4]) for start in (0, 4, 8)))
    assert [action for part in parts for action in part] == agent_of(server).act_all(MANY, NONE)


async def test_callers_with_an_event_loop_of_their_own_need_not_be_asynchronous(server: PolicyServer) -> None:
    assert SPACE.contains(agent_of(server).act("", {}))


def test_nothing_is_asked_for_no_observations(server: PolicyServer) -> None:
    assert agent_of(server).act_all([], []) == []
    assert server.seen == []


# What the model writes


@pytest.mark.parametrize(
    "content",
    [
        '<think>[{"name": "augment"}]?</think>\n[{"name": "finetune", "arguments": {}}]',
        '<think>hm</think><tool_call>{"name": "finetune"}</tool_call>',
        "[TOOL_CALLS]finetune[ARGS]{}",
        '{"name": "finetune", "parameters": {}}',
    ],
)
def test_text_of_a_server_is_read_as_that_of_a_local_model_is(server: PolicyServer, content: str) -> None:
    server.always = saying(content=content)
    action = agent_of(server, forms=("text",)).act("", {})
    assert parse(action) == (ToolCall("finetune", {}),)
    assert action == Generation(content, (), True, 0.0).action


def test_endless_answer_is_too_long_and_kept_short(server: PolicyServer) -> None:
    server.always = saying(content="<think>" + "hm " * 1_000_000 + "</think>" + json.dumps(self_edit(0)))
    action = agent_of(server, forms=("text",)).act("", {})
    read = parse(action)
    assert isinstance(read, InvalidSelfEdit)
    assert "characters, and at most" in read.reason
    assert len(action) < 100_000


def test_arguments_that_a_server_encodes_twice_are_read(server: PolicyServer) -> None:
    arguments = json.dumps(json.dumps({"learning_rate": 0.1}))
    call = {"id": "1", "type": "function", "function": {"name": "training", "arguments": arguments}}
    server.always = saying(tool_calls=[call], content="<think>hm</think>")
    assert parse(agent_of(server, forms=("tools",)).act("", {})) == (ToolCall("training", {"learning_rate": 0.1}),)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (chat(content="I would rather not."), Outcome.NOT_JSON),
        (chat(content=""), Outcome.NOT_JSON),
        (chat(content=None, refusal="I cannot help with that."), Outcome.NOT_JSON),
        (chat(content='[{"name": "augm', finish_reason="length"), Outcome.NOT_JSON),
        (chat(content='[{"name": "finetune", "arguments": "en"}]'), Outcome.INVALID_ARGUMENTS),
        (chat(tool_calls=[{"id": "1", "function": {"name": "finetune", "arguments": "en"}}]), Outcome.INVALID_ARGUMENTS),
        (chat(tool_calls=[{"id": "1", "function": {"name": "training", "arguments": '{"str'}}], finish_reason="length"),
         Outcome.INVALID_ARGUMENTS),
        (chat(tool_calls=[{"what": "is this"}]), Outcome.NOT_JSON),
    ],
    ids=["words", "nothing", "refusal", "cut off", "arguments", "tool arguments", "cut off tool", "no tool call"],
)  # fmt: skip
def test_what_the_model_writes_is_its_own_affair(server: PolicyServer, answer: Any, outcome: Outcome) -> None:
    agent = agent_of(server, forms=("text",))
    server.always = lambda body: answer
    read = parse(agent.act("", {}))
    assert isinstance(read, InvalidSelfEdit)
    assert read.outcome is outcome


def test_usage_counts_tokens_and_answers_cut_off(server: PolicyServer) -> None:
    agent = agent_of(server)
    agent.act_all(MANY[:2], NONE[:2])
    server.faults.append(saying(content="[", finish_reason="length"))
    agent.act("", {})
    usage = agent.usage
    assert (usage.requests, usage.failures, usage.retries, usage.cut_off) == (4, 0, 0, 1)  # the first finds the form
    assert (usage.prompt_tokens, usage.completion_tokens) == (400, 40)


# Settings


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "ftp://127.0.0.1/v1", "http://", "/v1", "http://a:b/v1"])
def test_address_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(SettingError, match="base_url"):
        OpenAICompatibleAgent(ServedPolicyOptions(base_url=base_url), PolicyChat(ARC_TOOLS), ())


@pytest.mark.parametrize("forms", [(), ("tools", "telepathy")])
def test_unknown_forms_are_refused(forms: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match="structured_outputs"):
        OpenAICompatibleAgent(ServedPolicyOptions(forms=forms), PolicyChat(ARC_TOOLS), ())


def test_an_agent_by_its_name_takes_the_forms_that_its_model_can_write(server: PolicyServer) -> None:
    context = AgentContext.of(gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-eval:1"))
    given = {"base_url": server.base_url, "retries": 0, "forms": "text"}
    agent = make_agent("openai_compatible", context, style="tools", **given)
    agent.act("the passage", {})
    assert {form_of(body) for body in server.seen} == {"text"}
    with pytest.raises(SettingError, match=r"forms=\('tools',\) is not legal; expected 'text' where style='rewrite'"):
        make_agent("openai_compatible", context, style="rewrite", **{**given, "forms": "tools"})
