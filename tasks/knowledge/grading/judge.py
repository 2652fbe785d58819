"""Grading by a language model behind an OpenAI-compatible server: yes or no, at temperature 0, one query per attempt."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from seal_env.errors import GraderError, SettingError
from seal_env.redaction import redacted_message
from seal_env.serving.client import ChatServer, Connection, Usage, run_async
from seal_env.serving.failures import ServerError
from seal_env.serving.probe import Contact, find_form, find_model
from seal_env.serving.replies import ChatReply
from seal_env.store import ForeignDatabaseError, Store, StoreFormat
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tasks.knowledge.grading.judge_prompt import ENDINGS, SAMPLE, judge_fields
from seal_env.tasks.knowledge.grading.verdict import read_verdict

VERDICTS: Final = StoreFormat[bool](
    application=0x5EA16ADE, version=1, encode=json.dumps, decode=lambda text: {"true": True, "false": False}[text]
)
VERDICTS_IN_MEMORY: Final = 100_000
MAX_NEW_TOKENS: Final = 64
LONGEST: Final = 4000
"""Characters of a prediction; a longer one is wrong without a query."""
BUSY: Final = (408, 425, 429, 503, 529)
"""HTTP statuses of a server that is busy or was too slow, which no text brings about."""
SERVER_ERROR: Final = 500


class JudgeGrader:
    """A grader that queries a served model.

    A prediction without any word is wrong without a query, and so is one of more than LONGEST characters; equal attempts are
    queried once. A prediction about which the judge says neither yes nor no, or which its filter refuses, is wrong where the
    judge does judge the gold answer to the same question: to be refused is no way around a verdict. So is one at which the
    server fails (HTTP 5xx) twice, while it judges the gold answer after each failure. The first call finds the
    form of request that the judge understands, with one to four requests about a sample question; see `contact`. Verdicts
    are cached by the model's name and its instructions, not by the server's address.
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
        """Open the cache; the server is not contacted yet.

        Args:
            model: The judge's name at the server; None is the only model that it serves.
            base_url: See ChatServer.
            cache_file: An SQLite file of verdicts, created if there is none; None caches them in memory.
            timeout: See ChatServer.
            retries: See ChatServer.
            concurrency: See ChatServer.

        Raises:
            SettingError: An argument is not legal, or the file is not a file of verdicts.
        """
        if concurrency < 1:
            raise SettingError("concurrency", concurrency, "at least 1")
        self._server = ChatServer(base_url, timeout, retries, concurrency)
        self._model, self._store = model, _open_store(None if cache_file is None else Path(cache_file))
        self.contact: Contact | None = None

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._server.usage

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        return self.grade_all([Attempt(question, gold, prediction)])[0]

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader. The server is queried concurrently."""
        return run_async(lambda: self.grade_all_async(attempts))

    async def grade_all_async(self, attempts: Sequence[Attempt]) -> list[bool]:
        """`grade_all` for a running event loop.

        Raises:
            GraderError: An attempt cannot be graded; the verdicts on the others are cached.
            SettingError: No model is named, and the server does not serve exactly one.
        """
        distinct = list(dict.fromkeys(attempt for attempt in attempts if _is_judged(attempt.prediction)))
        if not distinct:
            return [False] * len(attempts)
        model = self._model or (self.contact and self.contact.model) or await self._find_model()
        keys = {attempt: _key(model, attempt) for attempt in distinct}
        known = self._store.find(keys.values())
        unknown = [attempt for attempt in distinct if keys[attempt] not in known]
        if unknown:
            known |= await self._grade_new(model, unknown)
        return [attempt in keys and known[keys[attempt]] for attempt in attempts]

    async def _find_model(self) -> str:
        async with self._server.connect() as connection:
            try:
                contact = await find_model(connection, self._server.base_url, "grader_model", None, only=None)
            except ServerError as failed:
                raise self._error(None, failed) from failed
        return contact.model

    async def _grade_new(self, model: str, attempts: Sequence[Attempt]) -> dict[str, bool]:
        async with self._server.connect() as connection:
            if self.contact is None:
                self.contact = await self._find_form(connection, model)
            contact = self.contact
            replies = await asyncio.gather(*(_verdict_or_failure(connection, contact, attempt) for attempt in attempts))
        found = {
            _key(model, attempt): reply for attempt, reply in zip(attempts, replies, strict=True) if isinstance(reply, bool)
        }
        self._store.add(found)
        failures = [reply for reply in replies if isinstance(reply, ServerError)]
        if failures:
            raise self._error(model, failures[0], f"{len(failures)} of {len(attempts)} answers are not graded: ")
        return found

    async def _find_form(self, connection: Connection, model: str) -> Contact:
        try:
            return await find_form(
                connection, Contact(model), tuple(ENDINGS), partial(_request, attempt=SAMPLE), _no_verdict
            )
        except ServerError as failed:
            raise self._error(model, failed) from failed

    def _error(self, model: str | None, failed: ServerError, which: str = "") -> GraderError:
        reason, advice = failed.reason.rstrip("."), failed.advice("grader_url", "grader_model")
        named = "" if model is None else f" {redacted_message(model)!r}"
        return GraderError(f"the judge{named} at {self._server.base_url}: {which}{reason}. {advice}")


def _is_judged(prediction: str) -> bool:
    return len(prediction) <= LONGEST and any(map(str.isalnum, prediction))


def _open_store(path: Path | None) -> Store[bool]:
    """The verdicts in a file. Raises SettingError for a file of something else, or one that cannot be created."""
    store = Store(path, VERDICTS, rows_in_memory=VERDICTS_IN_MEMORY)
    try:
        store.check()
    except (ForeignDatabaseError, sqlite3.Error, OSError) as error:
        raise SettingError("cache_file", str(path), f"an SQLite file of verdicts, or none yet: {error}") from error
    return store


def _request(contact: Contact, attempt: Attempt) -> dict[str, Any]:
    return {"model": contact.model, contact.length_field: MAX_NEW_TOKENS, **judge_fields(attempt, contact.form)}


def _no_verdict(form: str, reply: ChatReply) -> str:
    """Why a reply holds no verdict; empty if it does."""
    del form
    return "" if read_verdict(reply.text) is not None else f"it says neither yes nor no but {reply.text[:80]!r}"


async def _verdict_or_failure(connection: Connection, contact: Contact, attempt: Attempt) -> bool | ServerError:
    """A prediction that the judge refuses, or fails at twice, is wrong if it judges the gold answer in its place."""
    control = attempt._replace(prediction=attempt.gold)
    reply = await _query_or_failure(connection, contact, attempt)
    for last in (False, True):
        if isinstance(reply, bool) or not _may_be_provoked(reply.status):
            return reply
        if not isinstance(await _query_or_failure(connection, contact, control), bool):
            return reply
        if last or (reply.status or 0) < SERVER_ERROR:
            return False
        reply = await _query_or_failure(connection, contact, attempt)
    return reply


def _may_be_provoked(status: int | None) -> bool:
    """Whether a text may have brought the failure about: there was an answer, and not that of a busy server."""
    return status is not None and status not in BUSY


async def _query_or_failure(connection: Connection, contact: Contact, attempt: Attempt) -> bool | ServerError:
    try:
        reply = await connection.chat(_request(contact, attempt))
    except ServerError as failed:
        return failed
    verdict = read_verdict(reply.text)
    return ServerError(_no_verdict(contact.form, reply), 200) if verdict is None else verdict


def _key(model: str, attempt: Attempt) -> str:
    """Digest of the model's name and of everything it reads, whatever the form."""
    read = [model, MAX_NEW_TOKENS, [judge_fields(attempt, form) for form in ENDINGS]]
    return hashlib.sha256(json.dumps(read).encode()).hexdigest()
