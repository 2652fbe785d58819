"""A judge's verdicts by their keys: in memory, and in an SQLite file if one is named, which several processes may share.

The file is opened for each use and closed again, so that nothing stays open over a fork. A file that cannot be used any more
is a warning: what a judge said once is cheaper to keep, but a run does not depend on it.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from seal_env.errors import SettingError

APPLICATION: Final = 0x5EA16ADE
WAIT_SECONDS: Final = 30.0
CREATE: Final = "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, yes INTEGER NOT NULL CHECK (yes IN (0, 1)))"
KEEP: Final = "INSERT OR REPLACE INTO verdicts VALUES (?, ?)"
FIND: Final = "SELECT yes FROM verdicts WHERE key = ?"


class VerdictStore:
    """Finds and keeps verdicts. path: the file, made with its folder if it is not there; None keeps them in memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises SettingError for a file that is something else, or that cannot be made."""
        self._path, self._memory = path, dict[str, bool]()
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with self._open(path) as connection:
                    _prepare(connection)
            except (sqlite3.Error, OSError) as error:
                raise SettingError("cache_file", str(path), f"an SQLite file of verdicts, or none yet: {error}") from error

    def find(self, keys: Collection[str]) -> dict[str, bool]:
        """The verdicts that are known, by key."""
        unread = [key for key in keys if key not in self._memory]
        if unread and self._path is not None:
            try:
                with self._open(self._path) as connection:
                    for key in unread:
                        self._memory.update((key, bool(yes)) for (yes,) in connection.execute(FIND, (key,)))
            except sqlite3.Error as error:
                self._warn(error)
        return {key: self._memory[key] for key in keys if key in self._memory}

    def add(self, verdicts: Mapping[str, bool]) -> None:
        """Keep verdicts."""
        self._memory.update(verdicts)
        if verdicts and self._path is not None:
            try:
                with self._open(self._path) as connection:
                    connection.executemany(KEEP, [(key, int(yes)) for key, yes in verdicts.items()])
            except sqlite3.Error as error:
                self._warn(error)

    @contextmanager
    def _open(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept on leaving without an error."""
        connection = sqlite3.connect(path, timeout=WAIT_SECONDS)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def _warn(self, error: sqlite3.Error) -> None:
        warnings.warn(f"the judge's verdicts in {self._path} cannot be used: {error}", RuntimeWarning, stacklevel=3)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table in a file that is empty. Raises sqlite3.DatabaseError for one that is of another application."""
    connection.execute("BEGIN IMMEDIATE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and tables:
        raise sqlite3.DatabaseError("it is a database of something else")
    connection.execute(CREATE)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
