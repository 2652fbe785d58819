"""Answers from a vLLM server instead of from the engine: a trained adapter is loaded there, asked, and unloaded.

Training stays with an inner loop. What is asked is the very tokens that the engine would ask, so the server's chat template
has no say in it. Server and inner loop share a file system, and the server has the engine's base model.

Two faults of vLLM shape this. An adapter that is loaded again under an old name or path may be answered from what was kept
of the old one: names and paths are never used twice. On a CPU, a request to the base model in one batch with an adapter's
may be answered by that adapter: a server there needs --max-num-seqs 1, and nothing else is asked beside an adapter unless
adapters_at_once says so.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final, NamedTuple
from uuid import uuid4

from seal_env.errors import SettingError
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.serving.client import ChatServer, Connection, ServedModel, ServerError, Usage, run_async
from seal_env.types import Answer, Example, InnerLoop, Outcome, Query, Recipe, UpdateJob, UpdateResult

ANSWER_SECONDS: Final = 600.0
"""For one answer. The queries of a job wait for each other at a server that takes one at a time."""


def evaluation_server(base_url: str) -> ChatServer:
    """A server as it is asked for answers. Raises SettingError."""
    return ChatServer(base_url, timeout=ANSWER_SECONDS)


class _Trained(NamedTuple):
    """A job without its answers. adapter: where the one to ask is, None for the base model."""

    job: UpdateJob
    adapter: Path | None
    result: UpdateResult


class ServedEvaluation:
    """An inner loop that has another one train, and a vLLM server answer.

    An answer is `exact` if greedy decoding gives the gold answer's text, blanks around it apart, and ends there; its
    `margin` is nan. What a chat template puts before an answer, as empty thoughts, is part of the prompt here.

    A server that fails is the outcome ENGINE_ERROR of the jobs concerned; if it is not there, nothing is trained. Safe to
    call from several threads if `inner_loop` is; they take turns at the server.
    """

    def __init__(
        self,
        inner_loop: InnerLoop,
        encoder: JobEncoder,
        server: ChatServer,
        evaluator_model: str | None = None,
        adapters_at_once: int = 1,
    ) -> None:
        """Nothing is asked yet. Raises SettingError.

        encoder: of the base model that `inner_loop` trains on. evaluator_model: the server's name for that model; None is
        the only one that it serves. adapters_at_once: jobs whose answers are asked for at one time, the base model's
        counted in; more than one is for servers on a GPU.
        """
        if adapters_at_once < 1:
            raise SettingError("adapters_at_once", adapters_at_once, "at least 1")
        self._inner_loop, self._encoder, self._server = inner_loop, encoder, server
        self._evaluator_model, self._at_once = evaluator_model, adapters_at_once
        self._turn = Lock()

    @property
    def usage(self) -> Usage:
        """What was asked of the server so far."""
        return self._server.usage

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """See InnerLoop."""
        return self._inner_loop.count_tokens(examples)

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop."""
        return self._inner_loop.max_tokens(recipe)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. Raises SettingError if the server serves another model than the one that was named.

        A server takes adapters only: a job that changes all weights raises it too.
        """
        if any(job.learns and job.method == "full" for job in jobs):
            raise SettingError("method", "full", "'lora' where a server answers")
        try:
            model = run_async(self._find_model)
        except ServerError as failed:
            return [self._failed(UpdateResult(Outcome.OK, "", ()), failed) for _ in jobs]
        with TemporaryDirectory(prefix="seal-adapters-") as folder:
            trained = self._train(jobs, Path(folder))
            with self._turn:
                return run_async(lambda: self._ask_all(model, trained))

    async def _find_model(self) -> ServedModel:
        async with self._server.connect() as connection:
            listed = [model for model in await connection.models() if model.parent is None]
        found = [model for model in listed if self._evaluator_model in (None, model.id)]
        if len(found) != 1:
            names = ", ".join(repr(model.id) for model in listed) or "none"
            legal = f"the name of a model at {self._server.base_url}, which serves {names}"
            raise SettingError("evaluator_model", self._evaluator_model, legal)
        return found[0]

    def _train(self, jobs: Sequence[UpdateJob], folder: Path) -> list[_Trained]:
        """Train what has to be trained or kept. Adapters to be asked are below `folder`, wherever else they are kept."""
        running: dict[int, UpdateJob] = {}
        adapters: dict[int, Path] = {}
        for index, job in enumerate(jobs):
            if job.learns and job.queries_Q:
                adapters[index] = folder / str(index)
            if job.learns or job.save_to:
                running[index] = replace(job, queries_Q=(), save_to=job.save_to or adapters.get(index))
                if job.save_to and index in adapters:
                    adapters[index].symlink_to(job.save_to.absolute())
        results = dict(zip(running, self._inner_loop.run(list(running.values())) if running else (), strict=True))
        nothing = UpdateResult(Outcome.OK, "", (), timings={"train_seconds": 0.0})
        return [_Trained(job, adapters.get(index), results.get(index, nothing)) for index, job in enumerate(jobs)]

    async def _ask_all(self, model: ServedModel, trained: Sequence[_Trained]) -> list[UpdateResult]:
        room = asyncio.Semaphore(self._at_once)
        async with self._server.connect() as connection:

            async def in_turn(each: _Trained) -> UpdateResult:
                async with room:
                    return await self._ask(connection, model, each)

            return await asyncio.gather(*map(in_turn, trained))

    async def _ask(self, connection: Connection, model: ServedModel, trained: _Trained) -> UpdateResult:
        job, result = trained.job, trained.result
        if result.outcome is not Outcome.OK or not job.queries_Q:
            return result
        began = time.perf_counter()
        try:
            async with _loaded(connection, model.id, trained.adapter) as name:
                asked = model.model_copy(update={"id": name})
                answers = await _all(self._answer(connection, asked, query, job.decode) for query in job.queries_Q)
        except ServerError as failed:
            return self._failed(result, failed)
        seconds = time.perf_counter() - began
        return replace(result, answers_Q=answers, timings={**result.timings, "evaluate_seconds": seconds})

    def _failed(self, result: UpdateResult, failed: ServerError) -> UpdateResult:
        reason = f"the server at {self._server.base_url} gave no answers: {failed}"
        return replace(result, outcome=Outcome.ENGINE_ERROR, reason=reason, answers_Q=())

    async def _answer(self, connection: Connection, model: ServedModel, query: Query, decode: bool) -> Answer:
        encoded = self._encoder.query(query)
        prompt_T = (*encoded.prompt_T, *encoded.gold_T[: encoded.opening])
        least = len(encoded.gold_T) - encoded.opening  # shows whether the answer is right, to the token that ends it
        room = math.inf if model.max_model_len is None else model.max_model_len - len(prompt_T)
        if room < least:
            whole = f"query {query.query_id!r} takes {len(prompt_T) + least} tokens with its answer"
            raise ServerError(f"{whole}, more than the {model.max_model_len} tokens that the server takes")
        request = {
            "model": model.id,
            "prompt": prompt_T,
            "max_tokens": min(max(least, query.max_answer_tokens) if decode else least, room),
            "temperature": 0.0,
            "repetition_penalty": 1.0,  # a model's own generation settings may say otherwise
            "stop_token_ids": sorted(encoded.stop_ids),
            "skip_special_tokens": False,
        }
        reply = await connection.complete(request)
        exact = not reply.cut_off and reply.text.strip() == query.answer.strip()
        text = query.answer if exact else reply.text if decode else None
        return Answer(query.query_id, exact, text, math.nan)


@asynccontextmanager
async def _loaded(connection: Connection, base: str, adapter: Path | None) -> AsyncIterator[str]:
    """The name to ask by: of the base model, or of the adapter, which the server has for as long as the block lasts."""
    if adapter is None:
        yield base
        return
    name = f"seal-{uuid4().hex}"
    await connection.post("/load_lora_adapter", {"lora_name": name, "lora_path": str(adapter)})
    try:
        yield name
    finally:
        with suppress(ServerError):  # a name that nobody will ask for again
            await connection.post("/unload_lora_adapter", {"lora_name": name})


async def _all(asking: Iterable[Awaitable[Answer]]) -> tuple[Answer, ...]:
    """All answers once every request has ended, or the first failure."""
    answers = await asyncio.gather(*asking, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return tuple(answer for answer in answers if not isinstance(answer, BaseException))
