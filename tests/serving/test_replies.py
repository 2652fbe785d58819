"""Answers as servers vary them: what is read as the model's own, what is not."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from seal_env.agents.lm.served.forms import action_of
from seal_env.self_edits.parse_calls import parse
from seal_env.serving.failures import ServerError
from seal_env.serving.replies import ChatReply, Completion, ServedModels, read_body, read_reply
from tests.helpers.raw_server import BODY, RawServer, ask, head, sends


def reply(finish_reason: str | None = "stop", usage: Any = None, **message: Any) -> ChatReply:
    choice = {"message": message, "finish_reason": finish_reason}
    return read_reply(read_body(json.dumps({"choices": [choice], "usage": usage}), Completion))


@pytest.mark.parametrize("reason", ["stop", "STOP", "eos_token", "end_turn", "stop_sequence", "COMPLETE", "eos", "unknown"])
def test_any_ending_of_a_text_is_an_answer(reason: str) -> None:
    assert reply(reason, content="hello") == ChatReply("hello", (), False)


@pytest.mark.parametrize("reason", [0, True, ["stop"], {"type": "eos_token"}, {"matched": 2}])
def test_ending_may_be_no_text(reason: Any) -> None:
    assert reply(reason, content="hello").text == "hello"


@pytest.mark.parametrize("reason", [{"type": "content_filter"}, {"reason": "SAFETY"}])
def test_ending_in_an_object_is_read(reason: Any) -> None:
    with pytest.raises(ServerError, match="finish_reason"):
        reply(reason, content="hello")


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00\ud83d", r"\ud83dx\ude00"])
def test_half_a_character_does_not_lose_an_answer(half: str) -> None:
    body = '{"choices": [{"text": "hel...\n", "finish_reason": "length"}]}'.replace("...", half)
    found = read_reply(read_body(body, Completion)).text
    assert found.replace("\ufffd", "").replace("x", "") == "hel\n"
    assert found.count("\ufffd") == half.count("u")


@pytest.mark.parametrize("reason", ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length"])
def test_answer_at_the_limit_is_cut_off(reason: str) -> None:
    assert reply(reason, content="hel").cut_off


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "abort", "error", "RECITATION", "", None])
def test_ending_that_is_not_the_models_own_is_a_failure(reason: str | None) -> None:
    with pytest.raises(ServerError, match="finish_reason"):
        reply(reason, content="hel")


def test_unknown_ending_of_nothing_is_a_failure() -> None:
    with pytest.raises(ServerError, match="finish_reason 'eos_token'"):
        reply("eos_token", content="", usage={"completion_tokens": 3})


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}],
        [{"type": "output_text", "text": "hello", "annotations": []}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}, {"type": "text", "text": "hello"}],
        [{"type": "reasoning", "text": "no"}, "hello"],
        [{"type": "redacted_thinking", "text": "no"}, {"type": "THINKING", "text": "no"}, "hello"],
        [{"text": "no", "thought": True}, {"text": "hello"}],
        [{"type": "text", "text": {"value": "hello", "annotations": []}}],
        [{"type": "message", "content": [{"type": "text", "text": "hello"}]}, None, 5],
        {"type": "text", "text": "hello"},
        "hello",
    ],
)
def test_content_may_come_in_parts(content: Any) -> None:
    assert reply(content=content).text == "hello"


CALL = {"name": "finetune", "arguments": "{}"}


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"type": "function", "function": CALL}]},
        {"tool_calls": [None, {"type": "function", "function": CALL}]},
        {"tool_calls": {"type": "function", "function": CALL}},
        {"tool_calls": json.dumps([{"type": "function", "function": CALL}])},
        {"function_call": CALL},
        {"function_call": CALL, "tool_calls": []},
        {"content": [{"type": "text", "text": "So:"}, {"type": "tool_use", "name": "finetune", "input": {}}]},
    ],
)
def test_calls_are_read_wherever_a_server_has_them(message: Any) -> None:
    found = reply("tool_calls", **message)
    calls = parse(action_of(found))
    assert isinstance(calls, tuple)
    assert [call.name for call in calls] == ["finetune"]


@pytest.mark.parametrize("nothing", [None, "", [], [None]])
def test_no_calls_may_be_said_in_any_way(nothing: Any) -> None:
    assert reply(content="hello", tool_calls=nothing) == ChatReply("hello", (), False)


def test_refusal_is_the_models_own_text() -> None:
    assert reply(content=None, refusal="I cannot.").text == reply(content=[{"type": "refusal", "refusal": "I cannot."}]).text


@pytest.mark.parametrize(
    "usage", ["n/a", [], 5, {"completion_tokens": "many"}, {"prompt_tokens": -1, "completion_tokens": None}]
)
def test_counts_that_are_none_do_not_lose_an_answer(usage: Any) -> None:
    assert reply(content="hello", usage=usage).text == "hello"


def test_what_is_not_read_may_be_anything() -> None:
    choice = {"text": "hello", "finish_reason": "stop", "logprobs": [[1] * 10] * 1000, "index": None}
    assert read_reply(read_body(json.dumps({"choices": [choice, 5 * [choice]][:1], "id": 7}), Completion)).text == "hello"
    assert [model.id for model in read_body('\ufeff{"data": [{"id": "a", "owned_by": 3}]}', ServedModels).data] == ["a"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content_Type": "text/html; charset=latin-1"}, BODY),
        ({"Content_Type": ""}, b"\xef\xbb\xbf" + BODY),
        ({"Content_Encoding": "gzip"}, gzip.compress(BODY, mtime=0)),
        ({"Content_Encoding": "identity"}, BODY),
        ({"Transfer_Encoding": "chunked"}, b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"),
    ],
)
def test_answer_is_read_whatever_its_headers_say_of_it(headers: dict[str, str], body: bytes) -> None:
    body = body.replace(b"hello", "größe".encode()) if b"hello" in body and "Transfer_Encoding" not in headers else body
    with RawServer(sends(head(**headers), body)).running() as server:
        assert ask(server.base_url).text in ("hello", "größe")
