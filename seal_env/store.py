"""A key-value store in an SQLite file that several processes of one machine may use at once, and where such files are.

The file is opened for each use and closed again: nothing stays open over a fork, and nothing needs tidying up. A store is a
cache: it must neither stop a run nor be trusted blindly. Whatever is wrong with its file is a warning, each entry is checked
against its digest, and a file that cannot be read is moved aside before a new one is begun. The digest finds damage, not
forgery: whoever can write to the file can write a digest too. SQLite's write-ahead log needs memory that all processes
share, so the file must not be on a network drive.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENOTDIR
from itertools import count
from pathlib import Path
from typing import Final, Generic, TypeVar

from seal_env.forking import Lock
from seal_env.printable import printable

LOCATION: Final = "SEAL_ENV_CACHE"
"""Environment variable that says where results are cached, unless a setting names a file."""

FILE_NAME: Final = "cache.sqlite"
ROWS_IN_MEMORY: Final = 4096
WAIT_SECONDS = 10.0
"""How long another process is waited for that has the file locked."""
NEXT_WAIT_SECONDS: Final = 0.1
"""The same once that was in vain, until the file is free again: a run does not stand still for its cache."""
MAGIC: Final = b"SQLite format 3\0"
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGE: Final = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
)
"""Primary codes that say that the file's contents are at fault; the others (busy, full, read-only, ...) may pass."""

CREATE: Final = "CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL)"
ADD: Final = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)"
FIND: Final = "SELECT value, digest FROM entries WHERE key = ?"
DROP: Final = "DELETE FROM entries WHERE key = ?"
DROP_OLDEST: Final = "DELETE FROM entries WHERE rowid <= (SELECT max(rowid) FROM entries) - ?"

T = TypeVar("T")
ValueT = TypeVar("ValueT")


class ForeignDatabaseError(Exception):
    """A database that this version of seal-env did not write."""


class OtherVersionError(ForeignDatabaseError):
    """A database that another version of seal-env wrote."""


@dataclass(frozen=True)
class StoreFormat(Generic[ValueT]):
    """What a store holds and how it is written.

    Attributes:
        application: SQLite's application id, by which a file is recognised.
        version: To be raised with every change to how a value is written; files of other versions are not read.
        encode: A value as text.
        decode: What `encode` wrote -> the value. Raises ValueError, KeyError, TypeError or AttributeError for anything else.
    """

    application: int
    version: int
    encode: Callable[[ValueT], str]
    decode: Callable[[str], ValueT]


def cache_path(named: str | None = None) -> Path | None:
    """The file in which results are cached.

    Args:
        named: A file, or a directory, in which cache.sqlite is meant; a path that does not exist and has no suffix is a
            directory. None means what the environment variable SEAL_ENV_CACHE says.

    Returns:
        The file's absolute path; None, the memory of this process, if nothing is named.
    """
    location = named or os.environ.get(LOCATION)
    if not location:
        return None
    path = Path(location).expanduser().absolute()
    is_file = os.path.isfile(path) or (path.suffix != "" and not os.path.isdir(path))  # whatever the length of its name
    return path if is_file else path / FILE_NAME


def _digest(key: str, value: str) -> str:
    return hashlib.sha256(f"{key} {value}".encode()).hexdigest()


class Store(Generic[ValueT]):
    """Finds and adds values by key. Thread-safe."""

    def __init__(
        self,
        path: Path | None,
        file_format: StoreFormat[ValueT],
        writable: bool = True,
        rows_in_memory: int = ROWS_IN_MEMORY,
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: The file; it and its folder are created when the first value is added. None is the memory of this process.
            file_format: What the store holds.
            writable: False adds nothing and creates no file.
            rows_in_memory: How many values the memory holds before the oldest make room for new ones.
        """
        self.path, self.writable = path and path.absolute(), writable
        self._named, self._waits = self.path, False
        self._format, self._rows_in_memory = file_format, rows_in_memory
        self._turn = Lock(delays_fork=True)
        self._memory = _memory() if path is None else None
        self._process = os.getpid()

    def check(self) -> None:
        """See that the file, if there is one, is one of ours. Nothing is made.

        Raises:
            ForeignDatabaseError: It was written by something else.
            sqlite3.Error: It is no database, or it cannot be opened.
            OSError: There is none, and its folder is no folder.
        """
        if self.path is None:
            return
        if self._identity() is None:
            folder = next(parent for parent in self.path.parents if os.path.lexists(parent))
            if not folder.is_dir():
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
            return
        with self._turn.held(), suppress(OtherVersionError), self._open():
            pass

    def find(self, keys: Collection[str]) -> dict[str, ValueT]:
        """The values that are known, by key. Damaged ones are dropped with a warning."""
        exists = self._memory is not None or not self.writable or self._identity() is not None
        return (self._use(lambda connection: self._read(connection, keys)) or {}) if keys and exists else {}

    def add(self, values: Mapping[str, ValueT]) -> None:
        """Add values, all or none of them."""
        if values and self.writable:
            texts = {key: self._format.encode(value) for key, value in values.items()}
            rows = [(key, text, _digest(key, text)) for key, text in texts.items()]
            self._use(lambda connection: self._write(connection, rows))

    def _read(self, connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, ValueT]:
        found, damaged = {}, []
        for key in keys:
            for text, digest in connection.execute(FIND, (key,)):
                try:
                    if digest == _digest(key, text):
                        found[key] = self._format.decode(text)
                except (ValueError, KeyError, TypeError, AttributeError):
                    pass
                if key not in found:
                    damaged.append((key,))
        if damaged:
            _warn(f"the cache {self.path} is damaged: {len(damaged)} of its entries are dropped")
        if damaged and self.writable:
            with connection:
                connection.executemany(DROP, damaged)
        return found

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[str, str, str]]) -> None:
        with connection:
            connection.executemany(ADD, rows)
            if connection is self._memory:
                connection.execute(DROP_OLDEST, (self._rows_in_memory,))

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """`work` on the open database; None, after a warning, if it cannot be used. A damaged file is replaced once."""
        with self._turn.held():
            for _ in range(3):
                file = self._identity()
                try:
                    with self._open() as connection:
                        found = work(connection)
                    self._waits = False
                except (sqlite3.Error, OSError, ForeignDatabaseError) as error:
                    if self._is_foreign(error):
                        replaced = self._go_beside(error)
                    else:
                        replaced = _is_damage(error) and self._move_aside(file, error)
                    if not replaced:
                        self._give_up(error)
                        return None
                else:
                    return found
        return None

    def _give_up(self, error: Exception) -> None:
        """Warn, but only once of a lock that lasts."""
        busy = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in BUSY
        if not (busy and self._waits):
            lock = f" (by another process, for {WAIT_SECONDS:g} s; until it is free, nothing is cached)" if busy else ""
            _warn(f"the cache {self.path} cannot be used: {error}{lock}")
        self._waits = busy

    def _is_foreign(self, error: Exception) -> bool:
        """Whether the file is somebody else's: another program's, another version's, or no database at all."""
        if isinstance(error, ForeignDatabaseError):
            return True
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & 0xFF != sqlite3.SQLITE_NOTADB or self.path is None:
            return False
        with suppress(OSError), self.path.open("rb") as file:
            return file.read(len(MAGIC)) != MAGIC
        return False

    def _go_beside(self, reason: Exception) -> bool:
        """Use a file beside the one that was named. False if that is what is used already."""
        if self.path is None or self.path != self._named:
            return False
        beside = self.path.with_name(f"{self.path.stem}-v{self._format.version}{self.path.suffix}")
        _warn(f"the cache {self.path} cannot be used and is left as it is: {reason}; {beside.name} is used in its place")
        self.path = beside
        return True

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._memory is not None:
            if os.getpid() != self._process:  # SQLite forbids a child to use what its parent has opened, or to close it
                _INHERITED.append(self._memory)
                self._memory, self._process = _memory(), os.getpid()
            self._prepare(self._memory)
            yield self._memory
            return
        assert self.path is not None
        folder = self.path.parent
        if self.writable:
            folder.mkdir(parents=True, exist_ok=True)
        # SQLite keeps a log beside the file; where it cannot, nobody else can write either.
        mode = "rwc" if self.writable else "rw" if os.access(folder, os.W_OK) else "ro&immutable=1"
        wait = min(WAIT_SECONDS, NEXT_WAIT_SECONDS) if self._waits else WAIT_SECONDS
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode={mode}", uri=True, timeout=wait)
        try:
            connection.text_factory = _as_text
            if self.writable:
                self._prepare(connection)
            self._check(connection)
            yield connection
        finally:
            connection.close()

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise ForeignDatabaseError unless this version wrote the database."""
        if _query(connection, "PRAGMA application_id") != self._format.application:
            raise ForeignDatabaseError("it was not written by seal-env")
        version = _query(connection, "PRAGMA user_version")
        if version != self._format.version:
            raise OtherVersionError(f"it has version {version}; this release of seal-env needs {self._format.version}")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Create the table in a database that is empty."""
        if not _is_empty(connection):
            return
        with suppress(sqlite3.OperationalError):  # another process is creating the same file
            connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if _is_empty(connection):
                connection.execute(CREATE)
                connection.execute(f"PRAGMA application_id = {self._format.application}")
                connection.execute(f"PRAGMA user_version = {self._format.version}")

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


_INHERITED: list[sqlite3.Connection] = []


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


def _warn(message: str) -> None:
    warnings.warn(printable(message), RuntimeWarning, stacklevel=2)


def _as_text(raw: bytes) -> str:
    """Text whatever its bytes: damage is for the digest to find."""
    return raw.decode(errors="replace")


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DAMAGE


def _query(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not any(_query(connection, f"PRAGMA {name}") for name in ("application_id", "user_version", "schema_version"))
