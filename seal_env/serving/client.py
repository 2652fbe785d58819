"""The client of OpenAI-compatible servers: limited concurrency, one retry policy, usage counts, readable errors.

Requests go through the `openai` client, which retries with back-off when there is no connection, no answer in time, or HTTP
408, 409, 429 or 5xx, and respects Retry-After. Below it `bounded` limits time and memory; above it `replies` reads bodies,
because that client accepts any.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final, TypeVar

import openai

from seal_env.serving.address import server_address
from seal_env.serving.bounded import BoundedClient
from seal_env.serving.failures import ServerError, server_error
from seal_env.serving.replies import ChatReply, Completion, ServedModel, ServedModels, read_body, read_reply

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_WAIT: Final = 120.0
"""Seconds between two attempts at most, which is the longest Retry-After that the client respects."""


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


class ChatServer:
    """A server's address and limits; `connect` opens a connection for one event loop. The key is OPENAI_API_KEY."""

    def __init__(self, base_url: str | None = None, timeout: float = 120.0, retries: int = 4, concurrency: int = 16) -> None:
        """Nothing is sent yet.

        Args:
            base_url: The address, including /v1; None means OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1. User and
                password in it are sent (HTTP basic authentication) and are in no text.
            timeout: Seconds per attempt, until the whole answer is there.
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
        """A connection for the running event loop, closed on exit.

        Raises:
            SettingError: The environment names a proxy that cannot be used.
        """
        key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"  # the client demands one, local servers do not
        http_client = BoundedClient(self.base_url, self.timeout, event_hooks={"request": [self._count_retries]})
        async with openai.AsyncOpenAI(
            base_url=self.base_url, api_key=key, http_client=http_client, timeout=self.timeout, max_retries=self.retries
        ) as client:
            yield Connection(self, client)

    async def _count_retries(self, request: Any) -> None:
        retry = request.headers.get("x-stainless-retry-count", "0")
        if retry != "0":
            self.usage.retries += 1
            logger.debug("retry %s at %s", retry, self.base_url)


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
        body = await self._send(lambda: self._once.get("/models", cast_to=str))
        return tuple(read_body(body, ServedModels).data)

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
            body = await self._send(lambda: self._client.post(path, cast_to=str, body=dict(request)))
            answer = read_body(body, Completion)
            usage.prompt_tokens += answer.usage.prompt_tokens
            usage.completion_tokens += answer.usage.completion_tokens
            reply = read_reply(answer)
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
            except (openai.OpenAIError, OSError, UnicodeError) as error:  # OSError: TimeoutError is one
                failed = server_error(error, self._server.timeout)
            else:
                self._answered += 1
                self._lost = ""
                return text
            if failed.status is None and self._answered == before:
                self._lost = failed.reason
            elif failed.status is not None:
                self._answered += 1
            raise failed  # out of the handler: what a traceback would show of the client's error may hold keys


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine from synchronous code; in a new thread if this one already runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_with_lookups(work))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_with_lookups(work))).result()


async def _with_lookups(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    asyncio.get_running_loop().set_default_executor(_Lookups())
    return await work()


class _Lookups(ThreadPoolExecutor):
    """What looks up the names of hosts for an event loop, in threads that nobody waits for: a resolver may take minutes."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """See Executor."""
        found: Future[T] = Future()

        def look_up() -> None:
            try:
                found.set_result(fn(*args, **kwargs))
            except BaseException as error:  # for whoever waits
                found.set_exception(error)

        found.set_running_or_notify_cancel()
        Thread(target=look_up, daemon=True).start()
        return found
