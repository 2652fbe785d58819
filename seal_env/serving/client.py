"""An OpenAI-compatible server, as everything here talks to one: bounded, counted, every failure put into words.

Requests go through the `openai` client. It sends again, with back-off, what failed by no fault of its own (no connection, no
answer in time, HTTP 408, 409, 429 and 5xx) and keeps to Retry-After. Bodies are read here: the client takes anything for an
answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import openai
from pydantic import BaseModel, Field, ValidationError

from seal_env.serving.address import server_address

T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=BaseModel)

MAX_WAIT: Final = 120.0
"""Most seconds that the client waits between two attempts, which is the longest Retry-After that it keeps to."""

MAX_REASON: Final = 300
ENDINGS: Final = ("stop", "length", "tool_calls", "function_call")
"""Finish reasons of an answer that the model itself gave; others (content_filter, abort, none at all) are the server's."""


class ServerError(Exception):
    """No answer that could be used. status: of the HTTP answer, None if there was none."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason, status)
        self.reason, self.status = " ".join(reason.split())[:MAX_REASON], status

    def __str__(self) -> str:
        return self.reason


@dataclass
class Usage:
    """What was asked of a server so far, all counts.

    requests: each counted once, however often it was sent. retries: how often one was sent again. failures: requests without
    an answer that could be used. cut_off: answers that the limit on new tokens ended.
    """

    requests: int = 0
    retries: int = 0
    failures: int = 0
    cut_off: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class ChatReply:
    """What a model said. tool_calls: as the server gave them. cut_off: the limit on new tokens ended it."""

    text: str
    tool_calls: tuple[dict[str, Any], ...]
    cut_off: bool


class ServedModel(BaseModel):
    """A model that a server lists. parent: of an adapter, its base model. max_model_len: tokens that it takes, if told."""

    id: str
    parent: str | None = None
    max_model_len: int | None = None


class _Models(BaseModel):
    data: list[ServedModel]


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(BaseModel):
    """Of a chat completion, which has a message, or of a completion, which has a text."""

    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Tokens | None = None


class ChatServer:
    """Where a server is and how patiently it is asked. `connect` gives a connection for one event loop.

    base_url: up to and with /v1; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1. The key is OPENAI_API_KEY.
    timeout: seconds for one attempt. retries: further attempts. concurrency: requests on their way at one time.
    """

    def __init__(self, base_url: str | None = None, timeout: float = 120.0, retries: int = 4, concurrency: int = 16) -> None:
        """Raises SettingError for a base_url that is none."""
        self.base_url = server_address("base_url", base_url)
        self.timeout, self.retries, self.concurrency = timeout, retries, concurrency
        self.usage = Usage()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """A connection of the running event loop, closed on leaving."""
        key = os.environ.get("OPENAI_API_KEY") or "none"  # the client wants one, local servers do not
        http_client = openai.DefaultAsyncHttpxClient(event_hooks={"request": [self._count_retries]})
        async with openai.AsyncOpenAI(
            base_url=self.base_url, api_key=key, http_client=http_client, timeout=self.timeout, max_retries=self.retries
        ) as client:
            yield Connection(self, client)

    async def _count_retries(self, request: Any) -> None:
        self.usage.retries += request.headers.get("x-stainless-retry-count", "0") != "0"


class Connection:
    """Requests to one server from one event loop. Every method raises ServerError."""

    def __init__(self, server: ChatServer, client: openai.AsyncOpenAI) -> None:
        self._server, self._client = server, client
        self._once = client.with_options(max_retries=0)
        self._room = asyncio.Semaphore(server.concurrency)
        self._patience = (server.retries + 1) * (server.timeout + MAX_WAIT)  # for one that sends a byte now and then
        self._answered = 0
        self._lost = ""

    async def models(self) -> tuple[ServedModel, ...]:
        """What is served, asked once: a server that is not there is not waited for."""
        return tuple(_read(await self._send(lambda: self._once.get("/models", cast_to=str)), _Models).data)

    async def chat(self, request: Mapping[str, Any]) -> ChatReply:
        """The answer to a chat. request: the body of OpenAI's chat completions, `messages` and so on."""
        return await self._ask("/chat/completions", request)

    async def complete(self, request: Mapping[str, Any]) -> ChatReply:
        """How a text goes on. request: the body of OpenAI's completions, whose `prompt` may be a list of tokens."""
        return await self._ask("/completions", request)

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Send a body to a path below base_url, once. What comes back does not matter unless it is an error."""
        await self._send(lambda: self._once.post(path, cast_to=str, body=dict(body)))

    async def _ask(self, path: str, request: Mapping[str, Any]) -> ChatReply:
        usage = self._server.usage
        usage.requests += 1
        try:
            text = await self._send(lambda: self._client.post(path, cast_to=str, body=dict(request)))
            answer = _read(text, _Answer)
            tokens = answer.usage or _Tokens()
            usage.prompt_tokens += tokens.prompt_tokens or 0
            usage.completion_tokens += tokens.completion_tokens or 0
            reply = _reply(answer.choices[0], tokens.completion_tokens or 0)
        except ServerError:
            usage.failures += 1
            raise
        usage.cut_off += reply.cut_off
        return reply

    async def _send(self, send: Callable[[], Awaitable[str]]) -> str:
        """The body that comes back from one request, after as many attempts as the client makes.

        Once a request had no answer in all its attempts, and no other had one meanwhile, the server is lost: requests that
        wait for their turn fail too, instead of each finding out for itself.
        """
        async with self._room:
            if self._lost:
                raise ServerError(self._lost)
            before = self._answered
            try:
                async with asyncio.timeout(self._patience):
                    text = await send()
            except (openai.OpenAIError, TimeoutError) as error:
                failed = _in_words(error, self._server.timeout)
                if failed.status is None and self._answered == before:
                    self._lost = failed.reason
                elif failed.status is not None:
                    self._answered += 1
                raise failed from error
            self._answered += 1
            self._lost = ""
            return text


def _read(text: str, body: type[BodyT]) -> BodyT:
    try:
        return body.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "its body"
        raise _not_openai(f"{where}: {first['msg']}; the body begins with {text[:60]!r}") from None


def _reply(choice: _Choice, tokens: int) -> ChatReply:
    """Raises ServerError unless the model itself said something, were it only that it has nothing to say (one token)."""
    if choice.finish_reason not in ENDINGS:
        raise ServerError(f"the server ended the answer with finish_reason {choice.finish_reason!r}", 200)
    message = choice.message or _Message(content=choice.text)
    text, calls = message.content or message.refusal or "", tuple(message.tool_calls or ())
    if not text and not calls and not tokens:
        raise _not_openai("it holds no text, no tool call and no token")
    return ChatReply(text, calls, choice.finish_reason == "length")


def _not_openai(why: str) -> ServerError:
    return ServerError(f"not an answer of an OpenAI-compatible server: {why}", 200)


def _in_words(error: openai.OpenAIError | TimeoutError, timeout: float) -> ServerError:
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return ServerError(f"no answer within {timeout:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ServerError(f"no connection ({error.__cause__ or error})")
    if isinstance(error, openai.APIStatusError):
        body = error.body.get("message", error.body) if isinstance(error.body, dict) else error.body
        return ServerError(f"HTTP {error.status_code}: {body or 'an empty body'}", error.status_code)
    return ServerError(str(error), 200)


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to its end, in a thread of its own where this one has a running event loop already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
