"""Grading by a language model behind an OpenAI-compatible server: yes or no, at temperature 0, each attempt asked once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from seal_env.errors import GraderError, SettingError
from seal_env.serving.client import ChatServer, Connection, ServerError, Usage, run_async
from seal_env.store import ForeignDatabaseError, Store, StoreFormat
from seal_env.tasks.knowledge.grading.answer_text import words
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tasks.knowledge.grading.judge_prompt import ENDINGS, SAMPLE, judge_fields, read_verdict

VERDICTS: Final = StoreFormat[bool](
    application=0x5EA16ADE, version=1, encode=json.dumps, decode=lambda text: {"true": True, "false": False}[text]
)
VERDICTS_IN_MEMORY: Final = 100_000
MAX_NEW_TOKENS: Final = 64
LENGTH_FIELDS: Final = ("max_tokens", "max_completion_tokens")
"""Every server knows the first; some models of OpenAI's refuse it."""

REFUSALS: Final = (200, 400, 405, 415, 422, 500, 501)
"""HTTP statuses by which servers say that they do not know a form."""


@dataclass(frozen=True)
class JudgeContact:
    """How a judge is asked. form: json_schema where the server knows it, text otherwise."""

    model: str
    form: str
    length_field: str


class JudgeGrader:
    """See Grader. A prediction without any word is wrong and is not asked about; what is known is not asked again.

    The first call finds out how the judge can be asked, by one to four requests about a question of its own; `contact` then
    tells. Verdicts are kept by the model's name and all that it is asked, not by the address: a cache file serves one model.
    """

    def __init__(
        self,
        model: str | None = None,
        base_url: str | None = None,
        cache_file: str | Path | None = None,
        timeout: float = 120.0,
        retries: int = 4,
        concurrency: int = 16,
    ) -> None:
        """Raises SettingError; nothing is asked yet.

        model: its name at the server; None is the only one that it serves. base_url, timeout, retries, concurrency: see
        ChatServer. cache_file: an SQLite file in which verdicts are kept; None keeps them as long as the grader.
        """
        if concurrency < 1:
            raise SettingError("concurrency", concurrency, "at least 1")
        self._server = ChatServer(base_url, timeout, retries, concurrency)
        self._model, self._store = model, _open_store(None if cache_file is None else Path(cache_file))
        self.contact: JudgeContact | None = None

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._server.usage

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        return self.grade_all([Attempt(question, gold, prediction)])[0]

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader. All are asked at once, as many at a time as the server is asked."""
        return run_async(lambda: self.grade_all_async(attempts))

    async def grade_all_async(self, attempts: Sequence[Attempt]) -> list[bool]:
        """`grade_all` for a running event loop.

        Raises GraderError if a single attempt cannot be graded; the verdicts on the others are kept, and another call asks
        only for what is missing. Raises SettingError if no model is named and the server does not serve exactly one.
        """
        asked = list(dict.fromkeys(attempt for attempt in attempts if words(attempt.prediction)))
        if not asked:
            return [False] * len(attempts)
        model = self._model or (self.contact and self.contact.model) or await self._find_model()
        keys = {attempt: _key(model, attempt) for attempt in asked}
        known = self._store.find(keys.values())
        unknown = [attempt for attempt in asked if keys[attempt] not in known]
        if unknown:
            known |= await self._ask_all(model, unknown)
        return [attempt in keys and known[keys[attempt]] for attempt in attempts]

    async def _find_model(self) -> str:
        async with self._server.connect() as connection:
            try:
                served = [model.id for model in await connection.models() if model.parent is None]
            except ServerError as failed:
                raise self._error("the only one that is served", failed.reason) from failed
        if len(served) != 1:
            names = ", ".join(map(repr, served)) or "none that it lists"
            raise SettingError("grader_model", None, f"the name of a model at {self._server.base_url}, which serves {names}")
        return served[0]

    async def _ask_all(self, model: str, attempts: Sequence[Attempt]) -> dict[str, bool]:
        async with self._server.connect() as connection:
            if self.contact is None:
                self.contact = await self._make_contact(connection, model)
            contact = self.contact
            replies = await asyncio.gather(*(_ask_or_failure(connection, contact, attempt) for attempt in attempts))
        found = {
            _key(model, attempt): reply for attempt, reply in zip(attempts, replies, strict=True) if isinstance(reply, bool)
        }
        self._store.add(found)
        failures = [reply for reply in replies if isinstance(reply, ServerError)]
        if failures:
            raise self._error(model, f"{len(failures)} of {len(attempts)} answers are not graded: {failures[0]}")
        return found

    async def _make_contact(self, connection: Connection, model: str) -> JudgeContact:
        failed = ServerError("it was not asked")
        for form, length_field in product(ENDINGS, LENGTH_FIELDS):
            contact = JudgeContact(model, form, length_field)
            try:
                await _ask(connection, contact, SAMPLE)
            except ServerError as error:
                failed = error
                if error.status not in REFUSALS:
                    break
            else:
                return contact
        raise self._error(model, failed.reason) from failed

    def _error(self, model: str, reason: str) -> GraderError:
        return GraderError(f"the judge {model!r} at {self._server.base_url}: {reason}")


def _open_store(path: Path | None) -> Store[bool]:
    """Raises SettingError for a file of something else, or one that cannot be created."""
    store = Store(path, VERDICTS, rows_in_memory=VERDICTS_IN_MEMORY)
    try:
        store.check()
    except (ForeignDatabaseError, sqlite3.Error, OSError) as error:
        raise SettingError("cache_file", str(path), f"an SQLite file of verdicts, or none yet: {error}") from error
    return store


async def _ask(connection: Connection, contact: JudgeContact, attempt: Attempt) -> bool:
    """Raises ServerError, also for an answer that is neither yes nor no."""
    body: dict[str, Any] = {"model": contact.model, contact.length_field: MAX_NEW_TOKENS}
    reply = await connection.chat(body | judge_fields(attempt, contact.form))
    verdict = read_verdict(reply.text)
    if verdict is None:
        raise ServerError(f"it says neither yes nor no but {reply.text[:80]!r}", 200)
    return verdict


async def _ask_or_failure(connection: Connection, contact: JudgeContact, attempt: Attempt) -> bool | ServerError:
    try:
        return await _ask(connection, contact, attempt)
    except ServerError as failed:
        return failed


def _key(model: str, attempt: Attempt) -> str:
    """Digest of the model's name and of all that it is asked, whatever the form."""
    asked = [model, MAX_NEW_TOKENS, [judge_fields(attempt, form) for form in ENDINGS]]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
