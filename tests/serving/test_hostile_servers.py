"""Whatever a server sends, in whatever time: a ServerError that says what to check, in bounded time and memory."""

from __future__ import annotations

import gzip
import re
import socket
import time
import tracemalloc
import zlib

import pytest

from seal_env.serving.bounded import MAX_BODY
from seal_env.serving.failures import ServerError
from tests.helpers.raw_server import BODY, RawServer, Script, ask, head, sends


def failure(script: Script, timeout: float = 5.0) -> ServerError:
    with RawServer(script).running() as server, pytest.raises(ServerError) as raised:
        ask(server.base_url, timeout)
    return raised.value


def endless(start: bytes, part: bytes, pause: float = 0.0) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(part)
            time.sleep(pause)

    return script


CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
BOMB = gzip.compress(gzip.compress(b" " * 1_000_000))

WRONG: dict[str, tuple[Script, str]] = {
    "a page": (sends(head(Content_Type="text/html"), b"<html>Welcome</html>"), "the body begins with '<html>.*base_url"),
    "a page with a status": (
        sends(head("502 Bad Gateway"), b"<html>nginx</html>"),
        "HTTP 502: <html>nginx.*the server's log",
    ),
    "a status without a body": (sends(head("503 Service Unavailable", Content_Length=0)), "HTTP 503: an empty body"),
    "no key": (sends(head("401 Unauthorized"), b'{"error": {"message": "no"}}'), "HTTP 401: no Check OPENAI_API_KEY"),
    "a wait of a year": (sends(head("429 Too Many", Retry_After=31536000), b"{}"), "HTTP 429.*limits, and concurrency"),
    "a stream": (sends(head(Content_Type="text/event-stream"), b'data: {"choices": []}\n\n'), "it is a stream"),
    "a stream without end": (
        endless(head(Content_Type="text/event-stream", Transfer_Encoding="chunked"), CHUNK),
        f"longer than {MAX_BODY:,} bytes",
    ),
    "no HTTP": (sends(b"SSH-2.0-OpenSSH_9.6\r\n"), "no connection"),
    "a reset": (sends(head(Content_Length=5000), BODY[:20]), "no connection"),
    "half of the JSON": (sends(head(), BODY[:-4]), "the body begins with"),
    "nested JSON": (sends(head(), b"[" * 1_000_000), "not an answer"),
    "no choices": (sends(head(), b'{"choices": []}'), "choices"),
    "null": (sends(head(), b"null"), "not an answer"),
    "other types": (sends(head(), b'{"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}'), "content"),
    "no gzip": (sends(head(Content_Encoding="gzip"), BODY), "no connection"),
    "another packing": (sends(head(Content_Encoding="br"), BODY), "packed as 'br'"),
    "a bomb in a bomb": (sends(head(Content_Encoding="gzip, gzip"), BOMB), "packed as 'gzip, gzip'"),
    "a large body": (endless(head(), b" " * 65536), f"longer than {MAX_BODY:,} bytes"),
    "large headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60000 + b"\r\n"), "no connection"),
    "a long error": (sends(head("500 Oops"), b"x" * 5_000_000), "HTTP 500: x{100}"),
    "a redirect to the same host": (
        sends(head("308 Moved", Location="/v1/chat/completions/")),
        "redirects are not followed",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_answer_is_a_failure_with_a_reason_and_advice(wrong: str) -> None:
    script, reason = WRONG[wrong]
    failed = failure(script)
    said = f"{failed} {failed.advice('base_url', 'policy_model')}"
    assert re.search(reason, said), said
    assert len(str(failed)) <= 300


SLOW: dict[str, Script] = {
    "never": endless(b"", b"", 0.05),
    "a head by bytes": endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.02),
    "a body by bytes": endless(head(), b" ", 0.02),
    "chunks": endless(head(Transfer_Encoding="chunked"), b"1\r\n \r\n", 0.02),
    "early hints": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02),
}


@pytest.mark.parametrize("slow", SLOW)
def test_slow_answer_is_given_up_at_the_timeout_however_many_bytes_come(slow: str) -> None:
    began = time.monotonic()
    assert "no answer within 0.3 seconds" in str(failure(SLOW[slow], timeout=0.3))
    assert time.monotonic() - began < 3


def test_slow_lookup_of_a_name_is_given_up_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: time.sleep(6))
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"no answer within 0\.3 seconds"):
        ask("http://slow.example/v1", timeout=0.3)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_packed_body_is_limited_as_it_is_unpacked(packing: str) -> None:
    zeros = b" " * 100_000_000
    packed = gzip.compress(zeros, 1) if packing == "gzip" else zlib.compress(zeros, 1)
    del zeros
    tracemalloc.start()
    assert f"longer than {MAX_BODY:,} bytes" in str(failure(sends(head(Content_Encoding=packing), packed)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * MAX_BODY
