"""The key of an update job: a digest of all that its result depends on, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.types import Query, UpdateJob

ENGINE_VERSION = 2
"""To be raised with every change to an inner loop that changes a number in a result: older results are not found again."""

LIBRARIES = ("torch", "transformers", "peft")


class JobKeys:
    """Keys of the jobs that the inner loop `engine` does on one base model.

    Jobs with equal keys have equal results: the key covers the model's weights, configuration and tokenizer, the libraries,
    the engine, the tokens of the examples in their order with what is supervised, how to train on them, and the queries.
    A job without an update depends on none of the training's ingredients, one of all weights not on the adapter's shape.
    Where what was learned is saved is no part of it.
    """

    def __init__(self, base: FrozenLM, engine: str) -> None:
        self._base = base
        self._about: dict[str, Any] = {
            "engine": [engine, ENGINE_VERSION],
            "libraries": {name: version(name) for name in LIBRARIES},
            "model": [base.fingerprint, base.max_tokens],
        }

    def key(self, job: UpdateJob) -> str:
        """64 hexadecimal digits. Raises ModelError if the model's chat template cannot show the job's messages."""
        digest = hashlib.sha256()
        about = self._about | {"decode": job.decode}
        about["queries"] = [self._describe(query) for query in job.queries_Q]
        if job.learns:
            learning = asdict(job.lora) if job.method == "lora" else job.method
            about["update"] = [asdict(job.training), learning, asdict(job.recipe), job.seed, len(job.examples_E)]
        digest.update(json.dumps(about, sort_keys=True).encode())
        if "update" in about:
            for example in job.examples_E:
                encoded = self._base.encoder.example(example, job.recipe)
                digest.update(len(encoded.ids_T).to_bytes(8))
                digest.update(array("q", encoded.ids_T).tobytes())
                digest.update(bytes(encoded.supervised(job.training.strategy)))
        return digest.hexdigest()

    def _describe(self, query: Query) -> list[Any]:
        encoded = self._base.encoder.query(query)
        asked = [encoded.prompt_T, encoded.gold_T, sorted(encoded.stop_ids), encoded.opening]
        return [query.query_id, query.answer, query.pattern, query.max_answer_tokens, *asked]
