"""The HTTP client beneath the `openai` client: no redirects, whole answers in bounded time and memory."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import openai

from seal_env.errors import SettingError
from seal_env.redaction import redacted_message
from seal_env.serving.address import Address
from seal_env.serving.failures import OversizeError

MAX_BODY: Final = 8 * 2**20
"""Bytes of an answer's body, unpacked: some hundred times an answer of 10,000 tokens."""
ENCODINGS: Final = ("", "identity", "gzip", "deflate")
"""Content encodings that are read. Others, and several at once, may unpack to more than there is memory for."""

_HTTP: Any = sys.modules[next(each.__module__ for each in openai.DefaultAsyncHttpxClient.__mro__[1:]).partition(".")[0]]
"""httpx or its successor, whichever the `openai` client uses."""

_OF_THE_BODY: Final = ("content-encoding", "content-length", "content-type", "transfer-encoding")


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """Sends requests to one address. An attempt takes `timeout` seconds in all, and its body at most MAX_BODY bytes.

    Proxies are taken from the environment, except for a server on this machine.
    """

    def __init__(self, address: Address, timeout: float, **about: Any) -> None:
        """See `httpx.AsyncClient` for `about`. Raises SettingError if the environment names a proxy that cannot be used."""
        self._seconds = timeout
        host = urlsplit(address).netloc.rpartition("@")[2]
        direct = {f"all://{host}": None} if address.is_loopback else {}
        try:
            super().__init__(
                follow_redirects=False,
                auth=address.credentials,
                headers={"Accept-Encoding": "gzip, deflate"},
                mounts=direct,
                **about,
            )
        except (ImportError, ValueError, _HTTP.InvalidURL) as error:
            names = "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
            raise SettingError(names, "***", f"addresses of proxies, such as http://host:3128 ({error})") from None

    async def send(self, request: Any, **options: Any) -> Any:
        """See `httpx.AsyncClient`. Raises its ReadTimeout, or OversizeError."""
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
                try:
                    body = await _body(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _HTTP.ReadTimeout("the answer is not complete in time", request=request) from None
        kind = response.headers.get("content-type", "").partition(";")[0]  # JSON is UTF-8, whatever charset is named
        headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_BODY]
        return type(response)(
            response.status_code, headers=[*headers, ("content-type", kind)], content=bytes(body), request=request
        )


async def _body(response: Any) -> bytearray:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise OversizeError(
            f"the answer is packed as {redacted_message(encoding)[:40]!r}, which was not asked for and is not read"
        )
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            raise OversizeError(f"the answer is longer than {MAX_BODY:,} bytes, and was not read to its end")
    return body
