"""The key of an update job: a digest of everything that its result depends on, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any

from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.types import Query, Recipe, UpdateJob

ENGINE_VERSION = 4
"""To be raised with every change to an inner loop that changes a number in a result, so that older results are not used."""

LIBRARIES = ("torch", "transformers", "peft")


def model_identity(base: FrozenLM) -> dict[str, Any]:
    """What a result depends on beside the job and the inner loop: the libraries and the model, as data for JSON."""
    return {
        "libraries": {name: version(name) for name in LIBRARIES},
        "model": [base.fingerprint, base.max_tokens],
    }


class JobKeys:
    """Keys of the jobs of one inner loop on one base model. Jobs with equal keys have equal results.

    They are equal but for rounding, which depends on the other jobs of a call; with the setting `deterministic` bit by bit.

    A key covers the model's weights, configuration and tokenizer, the libraries, the inner loop, the tokens of the examples
    in their order with what is supervised, the training with the names of optimizer and schedule, and the queries. The key
    of a job without an update does not depend on the training, that of an update of all weights not on the adapter's shape,
    and none on where the update is saved.
    """

    def __init__(self, encoder: JobEncoder, engine: str, identity: Callable[[], Mapping[str, Any]]) -> None:
        """Nothing is read before the first key.

        Args:
            encoder: Of the model.
            engine: The inner loop's registered name.
            identity: Says the model's `model_identity`; asked once.
        """
        self._encoder, self._engine, self._identity = encoder, engine, identity

    @classmethod
    def of(cls, base: FrozenLM, engine: str) -> JobKeys:
        """Those of an inner loop on a model that is loaded."""
        return cls(base.encoder, engine, partial(model_identity, base))

    @cached_property
    def _about(self) -> dict[str, Any]:
        return {"engine": [self._engine, ENGINE_VERSION], **self._identity()}

    def key(self, job: UpdateJob) -> str:
        """The key, 64 hexadecimal digits.

        Raises:
            ModelError: The model's chat template cannot render the job's messages.
        """
        digest = hashlib.sha256()
        about = self._about | {"decode": job.decode}
        about["queries"] = [self._describe(query) for query in job.queries_Q]
        if job.learns:
            learning = asdict(job.lora) if job.method == "lora" else job.method
            about["update"] = [asdict(job.training), learning, _recipe(job.recipe), job.seed, len(job.examples_E)]
        digest.update(json.dumps(about, sort_keys=True).encode())
        if "update" in about:
            for layer, basis in sorted(job.orthogonal_to.items()) if job.method == "lora" else ():
                digest.update(layer.encode() + basis.cpu().numpy().tobytes())
            for example in job.examples_E:
                encoded = self._encoder.example(example, job.recipe)
                digest.update(len(encoded.ids_T).to_bytes(8))
                digest.update(array("q", encoded.ids_T).tobytes())
                digest.update(bytes(encoded.supervised(job.training.strategy)))
        return digest.hexdigest()

    def _describe(self, query: Query) -> list[Any]:
        encoded = self._encoder.query(query)
        tokens = [encoded.prompt_T, encoded.gold_T, sorted(encoded.stop_ids)]
        return [query.query_id, query.answer, query.pattern, query.max_answer_tokens, *tokens]


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """A recipe without a term of the loss that it does not have: there are keys from before there was one."""
    return {name: value for name, value in asdict(recipe).items() if name != "regularise" or value}
