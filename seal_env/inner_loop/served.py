"""Evaluation by a vLLM server: a trained adapter is loaded there, queried and unloaded.

Training stays with an inner loop. Queries are sent as tokens, the same that the inner loop would use, so the server's chat
template does not matter. Server and inner loop share a file system and the base model.

Two faults of vLLM shape this. An adapter that is loaded under the name or path of an earlier one may be answered from the
earlier one's cached state: names and paths are never used twice. On a CPU, a request to the base model may be answered by an
adapter that is queried in the same batch: a server there needs --max-num-seqs 1, and no other model is queried beside an
adapter unless adapters_at_once says so.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from seal_env.errors import SettingError
from seal_env.forking import Lock
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.serving.adapters import CANNOT, NEEDS, loaded_adapter
from seal_env.serving.client import ChatServer, Connection, Usage, run_async
from seal_env.serving.failures import ServerError
from seal_env.serving.probe import choose_model, list_models
from seal_env.serving.replies import ServedModel
from seal_env.types import (
    Answer,
    InnerLoop,
    LoraSpec,
    Outcome,
    Query,
    UpdateJob,
    UpdateResult,
)

ANSWER_SECONDS: Final = 600.0
"""Time limit for one answer. At a server that takes one request at a time, the queries of a job wait for each other."""

TOKEN_CHARACTERS: Final = 256
"""Most characters of a token: a server that writes more did not keep to the limit on new tokens."""
PREFIX: Final = "seal-adapters-"
"""Of the folders from which the server reads adapters."""


def evaluation_server(base_url: str) -> ChatServer:
    """A client of an evaluation server. Raises SettingError for a base_url that is no address."""
    return ChatServer(base_url, timeout=ANSWER_SECONDS)


class _Trained(NamedTuple):
    """A job without its answers. adapter: where the adapter to query is; None for the base model."""

    job: UpdateJob
    adapter: Path | None
    result: UpdateResult


class ServedEvaluation(WrappedInnerLoop):
    """An inner loop that trains with another inner loop and answers with a vLLM server.

    An answer is `exact` if greedy decoding gives the gold answer's text, white space around it ignored, and ends there; its
    `margin` is nan.

    A server that fails gives the jobs concerned the outcome ENGINE_ERROR; without a server, or with one that loads no
    adapters, nothing is trained. Thread-safe if `inner_loop` is; threads take turns at the server.
    """

    def __init__(
        self,
        inner_loop: InnerLoop,
        encoder: JobEncoder,
        server: ChatServer,
        evaluator_model: str | None = None,
        adapters_at_once: int = 1,
    ) -> None:
        """Wrap an inner loop; the server is not contacted yet.

        Args:
            inner_loop: What trains.
            encoder: Of the base model that `inner_loop` trains.
            server: What answers.
            evaluator_model: The server's name for the base model; None is the only one that it serves.
            adapters_at_once: Jobs queried at one time, the base model's included; above 1 only for servers on a GPU.

        Raises:
            SettingError: `adapters_at_once` is below 1.
        """
        if adapters_at_once < 1:
            raise SettingError("adapters_at_once", adapters_at_once, "at least 1")
        super().__init__(inner_loop)
        self._encoder, self._server = encoder, server
        self._evaluator_model, self._at_once = evaluator_model, adapters_at_once
        self._turn = Lock()
        self._loadable = set[LoraSpec]()

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._server.usage

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop.

        Raises:
            SettingError: The server does not serve the model that was named or does not load adapters, or a job changes all
                weights.
        """
        if any(job.learns and job.method == "full" for job in jobs):
            raise SettingError("method", "full", "'lora' where a server answers")
        try:
            model = run_async(self._find_model)
            for job in {job.lora: job for job in jobs if job.learns and job.queries_Q}.values():
                self._check_loading(job)
        except ServerError as failed:
            return [self._failed(UpdateResult(Outcome.OK, "", ()), failed) for _ in jobs]
        with TemporaryDirectory(prefix=PREFIX) as folder:
            trained = self._train(jobs, Path(folder))
            with self._turn.held():
                return run_async(lambda: self._query_all(model, trained))

    async def _find_model(self) -> ServedModel:
        async with self._server.connect() as connection:
            listed = await list_models(connection)
        return choose_model(listed, self._server.base_url, "evaluator_model", self._evaluator_model, only=None)

    def _check_loading(self, job: UpdateJob) -> None:
        """Have the server load an untrained adapter like the job's, once for each shape and before anything is trained.

        Raises:
            SettingError: It does not load adapters, or not such ones.
            ServerError: It fails otherwise.
        """
        if job.lora in self._loadable:
            return
        with TemporaryDirectory(prefix=PREFIX) as folder, self._turn.held():
            path = Path(folder) / "untrained"
            self.inner.run([replace(job, examples_E=(), queries_Q=(), save_to=path)])
            try:
                run_async(lambda: self._load_once(path))
            except ServerError as failed:
                if failed.status not in CANNOT:
                    raise
                url = self._server.base_url
                raise SettingError("evaluator_url", url, f"a server that loads adapters. {failed}. {NEEDS}") from failed
        self._loadable.add(job.lora)

    async def _load_once(self, adapter: Path) -> None:
        async with self._server.connect() as connection, loaded_adapter(connection, adapter):
            pass

    def _train(self, jobs: Sequence[UpdateJob], folder: Path) -> list[_Trained]:
        """Run the jobs that train or save. The adapters to query are below `folder`, wherever else they are saved."""
        running: dict[int, UpdateJob] = {}
        adapters: dict[int, Path] = {}
        for index, job in enumerate(jobs):
            if job.learns and job.queries_Q:
                adapters[index] = folder / str(index)
            if job.learns or job.save_to:
                running[index] = replace(job, queries_Q=(), save_to=job.save_to or adapters.get(index))
                if job.save_to and index in adapters:
                    adapters[index].symlink_to(job.save_to.absolute())
        results = dict(zip(running, self.inner.run(list(running.values())) if running else (), strict=True))
        nothing = UpdateResult(Outcome.OK, "", (), timings={"train_seconds": 0.0})
        return [
            _Trained(job, adapters.get(index), result if job.save_to else replace(result, adapter=None))
            for index, job in enumerate(jobs)
            for result in [results.get(index, nothing)]
        ]

    async def _query_all(self, model: ServedModel, trained: Sequence[_Trained]) -> list[UpdateResult]:
        room = asyncio.Semaphore(self._at_once)
        async with self._server.connect() as connection:

            async def in_turn(each: _Trained) -> UpdateResult:
                async with room:
                    return await self._query(connection, model, each)

            return await asyncio.gather(*map(in_turn, trained))

    async def _query(self, connection: Connection, model: ServedModel, trained: _Trained) -> UpdateResult:
        job, result = trained.job, trained.result
        if result.outcome is not Outcome.OK or not job.queries_Q:
            return result
        began = time.perf_counter()
        try:
            adapted = loaded_adapter(connection, trained.adapter) if trained.adapter else nullcontext(model.id)
            async with adapted as name:
                queried = model.model_copy(update={"id": name})
                answers = await _all(self._answer(connection, queried, query, job.decode) for query in job.queries_Q)
        except ServerError as failed:
            return self._failed(result, failed)
        seconds = time.perf_counter() - began
        return replace(result, answers_Q=answers, timings={**result.timings, "evaluate_seconds": seconds})

    def _failed(self, result: UpdateResult, failed: ServerError) -> UpdateResult:
        advice = failed.advice("evaluator_url", "evaluator_model")
        reason = f"the server at {self._server.base_url} gave no answers: {failed.reason.rstrip('.')}. {advice}"
        return replace(result, outcome=Outcome.ENGINE_ERROR, reason=reason, answers_Q=())

    async def _answer(self, connection: Connection, model: ServedModel, query: Query, decode: bool) -> Answer:
        encoded = self._encoder.query(query)
        prompt_T = encoded.prompt_T
        least = len(encoded.gold_T)  # enough to see whether the answer is right, with the token that ends it
        room = math.inf if model.max_model_len is None else model.max_model_len - len(prompt_T)
        if room < least:
            whole = f"query {query.query_id!r} takes {len(prompt_T) + least} tokens with its answer"
            raise ServerError(f"{whole}, more than the {model.max_model_len} tokens that the server takes")
        most = int(min(max(least, query.max_answer_tokens) if decode else least, room))
        request = {
            "model": model.id,
            "prompt": prompt_T,
            "max_tokens": most,
            "temperature": 0.0,
            "repetition_penalty": 1.0,  # a model's own generation settings may say otherwise
            "stop_token_ids": sorted(encoded.stop_ids),
            "skip_special_tokens": False,
        }
        reply = await connection.complete(request)
        if len(reply.text) > TOKEN_CHARACTERS * most:
            raise ServerError(
                f"the answer has {len(reply.text)} characters, though at most {most} tokens were asked for", 200
            )
        exact = not reply.cut_off and reply.text.strip() == query.answer.strip()
        text = query.answer if exact else reply.text if decode else None
        return Answer(query.query_id, exact, text, math.nan)


async def _all(pending: Iterable[Awaitable[Answer]]) -> tuple[Answer, ...]:
    """All answers once every request has ended. Raises the first failure."""
    answers = await asyncio.gather(*pending, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return tuple(answer for answer in answers if not isinstance(answer, BaseException))
