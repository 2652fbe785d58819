"""The client of OpenAI-compatible servers: limited concurrency, one retry policy, usage counts, readable errors.

Requests go through the `openai` client, which retries with back-off when there is no connection, no answer in time, or HTTP
408, 409, 429 or 5xx, and respects Retry-After. Replies are validated here, because that client accepts any body.
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
"""Seconds between two attempts at most, which is the longest Retry-After that the client respects."""

MAX_REASON: Final = 300
ENDINGS: Final = ("stop", "length", "tool_calls", "function_call")
"""Finish reasons of the model's own answers; others (content_filter, abort, none at all) are failures of the server."""


class ServerError(Exception):
    """A request without a usable answer. status: the HTTP status; None if there was no HTTP answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason, status)
        self.reason, self.status = " ".join(reason.split())[:MAX_REASON], status

    def __str__(self) -> str:
        return self.reason


@dataclass
class Usage:
    """Counts of what a server was sent and what it answered.

    Attributes:
        requests: Requests, retries not included.
        retries: Retries.
        failures: Requests without a usable answer.
        cut_off: Answers that ended at the limit on new tokens.
        prompt_tokens: Tokens read, as the server counts them.
        completion_tokens: Tokens written, as the server counts them.
    """

    requests: int = 0
    retries: int = 0
    failures: int = 0
    cut_off: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class ChatReply:
    """A model's answer. tool_calls: as the server sent them. cut_off: True if it ended at the limit on new tokens."""

    text: str
    tool_calls: tuple[dict[str, Any], ...]
    cut_off: bool


class ServedModel(BaseModel):
    """A model that a server lists. parent: an adapter's base model. max_model_len: its context length, if known."""

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
    """A server's address and limits; `connect` opens a connection for one event loop. The key is OPENAI_API_KEY."""

    def __init__(self, base_url: str | None = None, timeout: float = 120.0, retries: int = 4, concurrency: int = 16) -> None:
        """Nothing is sent yet.

        Args:
            base_url: The address, including /v1; None means OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1.
            timeout: Seconds per attempt.
            retries: Attempts after the first.
            concurrency: Requests in flight at one time.

        Raises:
            SettingError: `base_url` is no address.
        """
        self.base_url = server_address("base_url", base_url)
        self.timeout, self.retries, self.concurrency = timeout, retries, concurrency
        self.usage = Usage()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """A connection for the running event loop, closed on exit."""
        key = os.environ.get("OPENAI_API_KEY") or "none"  # the client demands one, local servers do not
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
        self._slots = asyncio.Semaphore(server.concurrency)
        self._patience = (server.retries + 1) * (server.timeout + MAX_WAIT)  # for a server that sends a byte now and then
        self._answered = 0
        self._lost = ""

    async def models(self) -> tuple[ServedModel, ...]:
        """The models that the server lists. Not retried, so that a missing server is noticed at once."""
        return tuple(_read(await self._send(lambda: self._once.get("/models", cast_to=str)), _Models).data)

    async def chat(self, request: Mapping[str, Any]) -> ChatReply:
        """The answer to a chat. request: a body of OpenAI's chat completions."""
        return await self._complete("/chat/completions", request)

    async def complete(self, request: Mapping[str, Any]) -> ChatReply:
        """The completion of a text. request: a body of OpenAI's completions, whose `prompt` may be a list of tokens."""
        return await self._complete("/completions", request)

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Send a body to a path below base_url, without retries; the reply is ignored unless it is an error."""
        await self._send(lambda: self._once.post(path, cast_to=str, body=dict(body)))

    async def _complete(self, path: str, request: Mapping[str, Any]) -> ChatReply:
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
        """The reply's body, after as many attempts as the client makes.

        Once all attempts of a request have failed without any other request being answered meanwhile, the server counts as
        lost: requests that wait for a slot fail at once instead of timing out one by one.
        """
        async with self._slots:
            if self._lost:
                raise ServerError(self._lost)
            before = self._answered
            try:
                async with asyncio.timeout(self._patience):
                    text = await send()
            except (openai.OpenAIError, TimeoutError) as error:
                failed = _server_error(error, self._server.timeout)
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
    """Raises ServerError unless the answer is the model's own. It may be empty if the model wrote an end-of-turn token."""
    if choice.finish_reason not in ENDINGS:
        raise ServerError(f"the server ended the answer with finish_reason {choice.finish_reason!r}", 200)
    message = choice.message or _Message(content=choice.text)
    text, calls = message.content or message.refusal or "", tuple(message.tool_calls or ())
    if not text and not calls and not tokens:
        raise _not_openai("it holds no text, no tool call and no token")
    return ChatReply(text, calls, choice.finish_reason == "length")


def _not_openai(why: str) -> ServerError:
    return ServerError(f"not an answer of an OpenAI-compatible server: {why}", 200)


def _server_error(error: openai.OpenAIError | TimeoutError, timeout: float) -> ServerError:
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return ServerError(f"no answer within {timeout:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ServerError(f"no connection ({error.__cause__ or error})")
    if isinstance(error, openai.APIStatusError):
        body = error.body.get("message", error.body) if isinstance(error.body, dict) else error.body
        return ServerError(f"HTTP {error.status_code}: {body or 'an empty body'}", error.status_code)
    return ServerError(str(error), 200)


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine from synchronous code; in a new thread if this one already runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
