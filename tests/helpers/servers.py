"""Small real servers on 127.0.0.1 that speak OpenAI's protocol, and ways in which they can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.options import ServedPolicyOptions
from seal_env.agents.lm.served.openai_compatible import OpenAICompatibleAgent
from seal_env.agents.lm.text_styles import SYSTEM
from seal_env.envs.spaces import SelfEditSpace
from seal_env.self_edits.prompt import chat_messages
from seal_env.tools.base import Tool
from tests.helpers.tools import ARC_TOOLS, TOOLS

Body = dict[str, Any]
Fault = Callable[[Body], Response | None]
"""What happens instead of an answer; None: nothing, the answer comes after all."""


class OpenAIServer:
    """Serves /v1/models and hands every other POST below /v1 to `answer`. Faults come first, in order, then `always`.

    seen: bodies of the requests so far, in order of arrival. most: requests that were on their way at one time.
    """

    def __init__(self, models: Iterable[str] = ("policy",), port: int = 0) -> None:
        self.most = self._now = 0
        self.be_fine(models)
        self._lock = threading.Lock()
        self._http = HTTPServer("127.0.0.1", port, threaded=True)
        self._http.no_handler_status_code = 404
        self._http.expect_request("/v1/models", method="GET").respond_with_handler(self._list)

    def be_fine(self, models: Iterable[str] = ("policy",)) -> None:
        """As new: no faults, nothing seen."""
        self.models: list[Body] = [{"id": name} for name in models]
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.seen: list[Body] = []
        self.headers: list[dict[str, str]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.port}/v1"

    @contextmanager
    def running(self) -> Iterator[Self]:
        self._http.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Once more, at the same port."""
        self._http.start()

    def stop(self) -> None:
        if self._http.is_running():
            self._http.stop()

    def serve(self, path: str, answer: Callable[[Body], Response]) -> None:
        """POST to /v1/`path` is answered by `answer`."""
        handler = self._handler(answer)
        self._http.expect_request(f"/v1/{path}", method="POST").respond_with_handler(handler)

    def _list(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        return as_json({"object": "list", "data": self.models}) if self.models else error(404, "no such path")

    def _handler(self, answer: Callable[[Body], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            body = json.loads(request.get_data())
            with self._lock:
                self.seen.append(body)
                self._now += 1
                self.most = max(self.most, self._now)
                fault = self.faults.popleft() if self.faults else self.always
            try:
                return (fault and fault(body)) or answer(body)
            finally:
                with self._lock:
                    self._now -= 1

        return handle


class PolicyServer(OpenAIServer):
    """Its model writes a valid self-edit that depends on the request's seed alone, in the forms that the server knows.

    A form that it does not know is refused with an HTTP error, or ignored if `refusal` is None: then the model answers in
    plain words. Asked for texts it writes texts.
    """

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.serve("chat/completions", self._chat)

    def be_fine(self, models: Iterable[str] = ("policy",)) -> None:
        """As new, with a model that knows all forms."""
        super().be_fine(models)
        self.knows = {"tools", "structured_outputs", "json_schema"}
        self.refusal: int | None = 400

    def _chat(self, body: Body) -> Response:
        if body["model"] not in [model["id"] for model in self.models or [{"id": "policy"}]]:
            return error(404, f"The model `{body['model']}` does not exist.")
        form = form_of(body)
        if body["messages"][0]["content"] == SYSTEM:
            return chat(content=texts(body["seed"]))
        calls = self_edit(body["seed"], tools_in(body))
        if form == "text":
            return chat(content=json.dumps(calls))
        if form not in self.knows:
            return error(self.refusal, f"unknown: {form}") if self.refusal else chat(content="I would rotate the grids.")
        if form == "tools":
            return chat(tool_calls=as_tool_calls(calls))
        return chat(content=json.dumps({"tool_calls": calls} if form == "json_schema" else calls))


def agent_of(server: PolicyServer, seed: int = 0, **policy: Any) -> OpenAICompatibleAgent:
    """An agent that asks `server`, patiently and once."""
    usual = {"policy_model": "policy", "base_url": server.base_url, "timeout": 600.0, "retries": 0}
    options, sample = ServedPolicyOptions.checked(**{**usual, **policy}), chat_messages("A sample task.")
    return OpenAICompatibleAgent(options, PolicyChat(ARC_TOOLS), sample, seed)


def form_of(body: Body) -> str:
    """In which form a request asks."""
    fields = {"tools": "tools", "structured_outputs": "structured_outputs", "response_format": "json_schema"}
    return next((form for field, form in fields.items() if field in body), "text")


def self_edit(seed: int, tools: Iterable[Tool[Any]] = ARC_TOOLS) -> list[Body]:
    calls: list[Body] = json.loads(SelfEditSpace(tuple(tools), seed=seed).sample())
    return calls


def texts(seed: int) -> str:
    """Two documents, one a line, after a thought."""
    return f"<think>\nWhat to write?\n</think>\n\nFact {seed} is a fact.\nQuestion: Which fact is it?\nAnswer: fact {seed}"


def tools_in(body: Body) -> list[Tool[Any]]:
    """The tools that the prompt explains; those of ARC where it explains none."""
    prompt = body["messages"][-1]["content"]
    return [tool for name, tool in TOOLS.items() if f"\n{name}: " in prompt] or list(ARC_TOOLS)


def as_tool_calls(calls: list[Body]) -> list[Body]:
    return [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for number, call in enumerate(calls)
    ]


def as_json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")


def error(status: int, message: str, **headers: str) -> Response:
    response = as_json({"error": {"message": message, "type": "error", "code": status}}, status)
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def chat(finish_reason: str | None = "", tokens: int = 10, **message: Any) -> Response:
    """A chat completion. finish_reason "": as the message has it."""
    ending = ("tool_calls" if message.get("tool_calls") else "stop") if finish_reason == "" else finish_reason
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": ending}
    return as_json({"id": "1", "object": "chat.completion", "created": 0, "model": "policy", "choices": [choice],
                    "usage": {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}})  # fmt: skip


def failing(status: int, message: str = "it failed", **headers: str) -> Fault:
    return lambda body: error(status, message, **headers)


def saying(**about: Any) -> Fault:
    return lambda body: chat(**about)


def sending(text: str, content_type: str = "application/json", status: int = 200) -> Fault:
    return lambda body: Response(text, status=status, content_type=content_type)


def slow(seconds: float) -> Fault:
    """It answers, but late."""
    return lambda body: time.sleep(seconds)


def waiting(until: Callable[[], bool], seconds: float = 10, then: float = 0.1) -> Fault:
    """It answers as soon as something is so, or after `seconds`; a little later, so that what comes too early is seen."""

    def answer(body: Body) -> None:
        ends = time.monotonic() + seconds
        while not until() and time.monotonic() < ends:
            time.sleep(0.005)
        time.sleep(then)

    return answer


def breaking_off(body: Body) -> Response:
    """It goes away in the middle of an answer."""
    return Response(iter(['{"choices": [']), headers={"Content-Length": "5000"}, content_type="application/json")


def fine(body: Body) -> None:
    """Nothing happens: the answer comes."""
