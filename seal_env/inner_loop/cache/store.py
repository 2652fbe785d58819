"""Results of update jobs by their keys, in an SQLite file that several processes of one machine may use at once.

The file is opened for each use and closed again: nothing stays open over a fork, and nothing is left to tidy up. A cache
must neither stop a run nor be trusted blindly: what is wrong with the file is a warning. Each row is checked against its
digest; a file that cannot be read is moved aside, and a new one is begun.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from seal_env.types import Answer, Outcome, UpdateResult

APPLICATION = 0x5EA1CACE
SCHEMA = 1
"""To be raised with every change to the table or to how a result is written: older files are moved aside."""

ROWS_IN_MEMORY = 4096
WAIT_SECONDS = 30.0
DAMAGE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
)
"""Primary codes that say that the file's contents are at fault; the others (busy, full, read-only, ...) may pass."""

CREATE = "CREATE TABLE results (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL)"
KEEP = "INSERT OR REPLACE INTO results VALUES (?, ?, ?)"
FIND = "SELECT value, digest FROM results WHERE key = ?"
DROP = "DELETE FROM results WHERE key = ?"
DROP_OLDEST = "DELETE FROM results WHERE rowid <= (SELECT max(rowid) FROM results) - ?"

T = TypeVar("T")


class ForeignDatabaseError(Exception):
    """A database that this version of seal-env did not write."""


def encode_result(result: UpdateResult) -> str:
    """A result as JSON in ASCII, without its timings; numbers that are not finite become the strings nan, inf and -inf."""
    fields = asdict(result)
    del fields["timings"]
    return json.dumps(_spell(fields), allow_nan=False)


def decode_result(text: str) -> UpdateResult:
    """What `encode_result` wrote. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    fields = json.loads(text)
    answers = tuple(Answer(**answer | {"margin": float(answer["margin"])}) for answer in fields.pop("answers_Q"))
    losses = tuple(float(loss) for loss in fields.pop("losses_S"))
    return UpdateResult(Outcome(fields.pop("outcome")), answers_Q=answers, losses_S=losses, **fields)


def _spell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _spell(item) for name, item in value.items()}
    return [_spell(item) for item in value] if isinstance(value, tuple) else value


def _digest(key: str, value: str) -> str:
    return hashlib.sha256(f"{key} {value}".encode()).hexdigest()


class ResultStore:
    """Finds and keeps results. Safe to use from several threads.

    path: the file, made with its folder when the first result is kept; None is the memory of this process, where the oldest
    results make room for new ones. writable False: nothing is kept, and no file is made.
    """

    def __init__(self, path: Path | None, writable: bool = True) -> None:
        self.path, self.writable = path and path.absolute(), writable
        self._turn = RLock()
        self._memory = sqlite3.connect(":memory:", check_same_thread=False) if path is None else None

    def find(self, keys: Collection[str]) -> dict[str, UpdateResult]:
        """The results that are known, by key. Damaged ones are dropped with a warning."""
        made = self._memory is not None or not self.writable or self._identity() is not None
        return (self._use(lambda connection: self._read(connection, keys)) or {}) if keys and made else {}

    def add(self, results: Mapping[str, UpdateResult]) -> None:
        """Keep results, all or none of them."""
        if results and self.writable:
            values = {key: encode_result(result) for key, result in results.items()}
            rows = [(key, value, _digest(key, value)) for key, value in values.items()]
            self._use(lambda connection: self._write(connection, rows))

    def _read(self, connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, UpdateResult]:
        found, damaged = {}, []
        for key in keys:
            for value, digest in connection.execute(FIND, (key,)):
                try:
                    if digest == _digest(key, value):
                        found[key] = decode_result(value)
                except (ValueError, KeyError, TypeError, AttributeError):
                    pass
                if key not in found:
                    damaged.append((key,))
        if damaged:
            _warn(f"the cache {self.path} is damaged: {len(damaged)} of its results are dropped")
        if damaged and self.writable:
            with connection:
                connection.executemany(DROP, damaged)
        return found

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[str, str, str]]) -> None:
        with connection:
            connection.executemany(KEEP, rows)
            if connection is self._memory:
                connection.execute(DROP_OLDEST, (ROWS_IN_MEMORY,))

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """`work` on the open database; None, after a warning, if it cannot be used. A damaged file is replaced once."""
        with self._turn:
            for _ in range(2):
                file = self._identity()
                try:
                    with self._open() as connection:
                        return work(connection)
                except (sqlite3.Error, OSError, ForeignDatabaseError) as error:
                    if not (_is_damage(error) and self._move_aside(file, error)):
                        _warn(f"the cache {self.path} cannot be used: {error}")
                        return None
        return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._memory is not None:
            _prepare(self._memory)
            yield self._memory
            return
        assert self.path is not None
        folder = self.path.parent
        if self.writable:
            folder.mkdir(parents=True, exist_ok=True)
        # SQLite keeps a log beside the file; where it cannot, nobody else can write either.
        mode = "rwc" if self.writable else "rw" if os.access(folder, os.W_OK) else "ro&immutable=1"
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode={mode}", uri=True, timeout=WAIT_SECONDS)
        try:
            connection.text_factory = _as_text
            if self.writable:
                _prepare(connection)
            _check(connection)
            yield connection
        finally:
            connection.close()

    def _identity(self) -> tuple[int, int] | None:
        """Which file is there now; None if there is none."""
        with suppress(OSError):
            if self.path is not None:
                found = self.path.stat()
                return found.st_dev, found.st_ino
        return None

    def _move_aside(self, file: tuple[int, int] | None, reason: Exception) -> bool:
        """Rename the file that was found unusable, unless another process has done so. False if it has to stay."""
        if self.path is None or not self.writable:
            return False
        if self._identity() != file:
            return True
        names = (Path(f"{self.path}.unusable-{number}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        try:
            self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        except OSError:
            return False
        _warn(f"the cache {self.path} cannot be used: {reason}; it is now called {aside.name}, and a new one is begun")
        return True


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def _as_text(raw: bytes) -> str:
    """Text whatever its bytes: damage is for the digest to find."""
    return raw.decode(errors="replace")


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, ForeignDatabaseError) or (code is not None and code & 0xFF in DAMAGE)


def _ask(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not any(_ask(connection, f"PRAGMA {name}") for name in ("application_id", "user_version", "schema_version"))


def _check(connection: sqlite3.Connection) -> None:
    """Raise ForeignDatabaseError unless this version wrote the database."""
    if _ask(connection, "PRAGMA application_id") != APPLICATION:
        raise ForeignDatabaseError("it was not written by seal-env")
    schema = _ask(connection, "PRAGMA user_version")
    if schema != SCHEMA:
        raise ForeignDatabaseError(f"it has schema {schema}, and this version of seal-env needs {SCHEMA}")


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table in a database that is empty."""
    if not _is_empty(connection):
        return
    with suppress(sqlite3.OperationalError):  # another process is making the same file
        connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _is_empty(connection):
            connection.execute(CREATE)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
