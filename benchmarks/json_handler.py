"""What the benchmarks' own servers have in common."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """Answers JSON with JSON and status 200, and logs nothing. Subclasses add `answer`."""

    protocol_version = "HTTP/1.1"

    def answer(self, body: Any) -> Any:
        """What is sent. body: what was posted; None for a GET."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """See BaseHTTPRequestHandler."""
        self._send(self.answer(None))

    def do_POST(self) -> None:
        """See BaseHTTPRequestHandler."""
        self._send(self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def _send(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""
