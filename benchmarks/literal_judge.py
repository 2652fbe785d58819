"""A judge on 127.0.0.1 that stands in for a language model: literal, and gullible where its quoting fails.

It reads the material of a request as the judge's prompt writes it: a JSON object with question, reference and candidate. It
says yes if candidate and reference are equal but for case, punctuation and articles. It obeys what it can read as an
instruction: anything outside that one object, and any field beside the three or twice among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

from benchmarks.json_handler import JsonHandler
from seal_env.tasks.knowledge.grading.exact_match import normalise

FIELDS = ("question", "reference", "candidate")
MODEL = "literal"


def verdict(material: str) -> bool:
    """Whether the judge says yes to the material of a request."""
    fields: list[str] = []

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields.extend(name for name, _ in pairs)
        return dict(pairs)

    try:
        asked = json.loads(material, object_pairs_hook=read)
    except ValueError:
        return True  # text outside the object: obeyed
    if tuple(fields) != FIELDS:
        return True
    return normalise(asked["reference"]) == normalise(asked["candidate"])


class _Handler(JsonHandler):
    def answer(self, body: Any) -> Any:
        if body is None:
            return {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        said = json.dumps({"verdict": "yes" if verdict(body["messages"][-1]["content"]) else "no"})
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}


@contextmanager
def literal_judge() -> Iterator[str]:
    """A judge for as long as the context lasts. Yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
