"""A server on 127.0.0.1 that sends bytes as they are told to it, however wrong they are as HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from seal_env.serving.client import ChatServer, run_async
from seal_env.serving.replies import ChatReply

BODY = json.dumps({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
Script = Callable[[socket.socket], None]


class RawServer:
    """Each connection gets one answer, by `script`, and is closed. seen: the heads and bodies of the requests."""

    def __init__(self, script: Script) -> None:
        self.script, self.seen = script, list[bytes]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    @contextmanager
    def running(self) -> Iterator[RawServer]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may go away
            self.seen.append(_request(connection))
            self.script(connection)


def _request(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    while received[:1].isalpha() and b"\r\n\r\n" not in received:  # what begins TLS is no letter
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def head(status: str = "200 OK", **headers: object) -> bytes:
    """The head of an answer that ends with the connection."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Content_Type": "application/json", **headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def sends(*parts: bytes) -> Script:
    """A script that sends these, one after the other."""

    def script(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return script


def ask(base_url: str, timeout: float = 5.0, retries: int = 0) -> ChatReply:
    """A chat with the server at an address."""

    async def work() -> ChatReply:
        async with ChatServer(base_url, timeout, retries).connect() as connection:
            return await connection.chat({"model": "m", "messages": []})

    return run_async(work)
