"""A server of OpenAI's protocol: a policy, a judge and an evaluator whose answers depend on the requests alone."""

from __future__ import annotations

import json
import random
import socket
import time
from http.server import ThreadingHTTPServer
from typing import Any, Final

from benchmarks.json_handler import JsonHandler

MODEL: Final = "stub"
DELAY_SECONDS: Final = 0.05
"""Of each answer, so that a server can be killed over it."""
LORA: Final = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def serve(port: int) -> int:
    """Answer requests for ever."""
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()
    return 0


def self_edit(seed: int) -> list[dict[str, Any]]:
    """A valid self-edit that depends on the seed."""
    rate = random.Random(seed).uniform(1e-4, 1e-3)
    strategy = {"strategy": "train_using_all_tokens", "learning_rate": round(rate, 6), "num_train_epochs": 1}
    return [{"name": "training", "arguments": strategy}, {"name": "finetune", "arguments": {}}]


class _Handler(JsonHandler):
    def answer(self, body: Any) -> Any:
        if body is None:
            return {"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 4096}]}
        time.sleep(DELAY_SECONDS)
        about = {"id": "1", "created": 0, "model": MODEL}
        if self.path in LORA:
            return "Success"
        if self.path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": json.dumps(_answer(body))}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return {**about, "object": "chat.completion", "choices": [choice]}
        choice = {"index": 0, "text": str(sum(body["prompt"]) % 10), "finish_reason": "stop"}
        return {**about, "object": "text_completion", "choices": [choice]}


def _answer(body: dict[str, Any]) -> Any:
    """A judge's verdict where something is to be judged, and a self-edit anywhere else."""
    try:
        asked = json.loads(body["messages"][-1]["content"])
    except ValueError:
        asked = {}
    if isinstance(asked, dict) and "candidate" in asked:
        return {"verdict": "yes" if asked["reference"].lower() in asked["candidate"].lower() else "no"}
    return self_edit(body.get("seed", 0))
