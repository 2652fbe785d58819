"""Files that survive a process which is killed at any moment, and a disk that is full."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from seal_env.errors import RunFolderError, SealError, StorageError
from seal_env.redaction import redacted

STORAGE: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ESTALE,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENFILE,
)
"""Errors that mean that a file cannot be written, wherever they come from."""

T = TypeVar("T")


class Journal:
    """JSON lines that are appended to, each whole or not at all: a line that was cut off is taken away when it is opened.

    Raises:
        StorageError: If its folder cannot be created or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._whole()

    def _whole(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(self.path, end)

    def read(self) -> list[dict[str, Any]]:
        """All records so far. Raises RunFolderError if a line is damaged."""
        return self.read_as(lambda record: record)

    def read_as(self, of_record: Callable[[dict[str, Any]], T]) -> list[T]:
        """What is made of each record; see `read_records`."""
        return read_records(self.path, of_record) if self.path.exists() else []

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; it is on the disk when this returns, and no part of it is if there was no room.

        Raises:
            StorageError: If it cannot be written.
        """
        with storage_errors(self.path), self.path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                _write_all(file.fileno(), (json.dumps(redacted(record)) + "\n").encode())
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), end)
                raise

    def replace(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write all records anew, at once or not at all. Raises StorageError."""
        write_whole(self.path, "".join(json.dumps(record) + "\n" for record in records))


def read_records(path: Path, of_record: Callable[[dict[str, Any]], T]) -> list[T]:
    """What is made of each whole record of a journal, which is left as it is.

    Args:
        path: Of the journal.
        of_record: What to make of a record; may raise what a record of another form causes.

    Raises:
        RunFolderError: If a line is damaged or holds something else.
        OSError: If the file cannot be read.
    """
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            found += [of_record(_record(line))] if line else []
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = f"{str(path)!r}, line {number} cannot be read ({type(error).__name__}: {error})"
            advice = "restore the file, or delete this line and all after it, which a run that is resumed does again"
            raise RunFolderError(f"{reason}: {advice}") from error
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all; it is on the disk when this returns.

    Raises:
        StorageError: If it cannot be written; what was there before is left.
    """
    write_file(path, lambda new: new.write_text(redacted(text), encoding="utf-8"))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` write a file, which then appears as `path`, whole or not at all; it is on the disk when this returns.

    Raises:
        StorageError: If it cannot be written; what was there before is left.
    """
    new = path.with_name(path.name + ".new")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(new)
            with new.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
        sync_folder(path.parent)


def write_folder(directory: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a new folder, which then appears as `directory`, unless that exists already.

    Raises:
        StorageError: If it cannot be written; no part of it is left.
    """
    if directory.exists():
        return
    new = directory.with_name(directory.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    with storage_errors(directory):
        try:
            write(new)
            for each in new.rglob("*"):
                if each.is_file():
                    with each.open("rb") as file:
                        os.fsync(file.fileno())
            os.replace(new, directory)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        sync_folder(directory.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """A context for what writes below `path`. Raises StorageError, which names the path, if a disk refuses it."""
    try:
        yield
    except SealError:
        raise
    except Exception as error:
        reason = storage_problem(error)
        if reason is None and isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            reason = error.strerror  # of a file then: a folder that was deleted, a device
        if reason is None:
            raise
        where = getattr(error, "filename", None) or path
        raise StorageError(f"{str(where)!r} cannot be written: {reason}") from error


def storage_problem(error: BaseException) -> str | None:
    """Why a file cannot be written, in words; None for an error of another kind.

    Libraries in Rust, safetensors among them, and torch raise errors of their own, which only their texts tell apart.
    """
    if isinstance(error, OSError) and error.errno in STORAGE:
        return os.strerror(error.errno)
    named = re.search(r"\(os error (\d+)\)", str(error))
    if named and int(named[1]) in STORAGE:
        return os.strerror(int(named[1]))
    if isinstance(error, RuntimeError) and re.search(r"PytorchStreamWriter|inline_container", str(error)):
        return str(error).partition("\n")[0]
    return None


def _record(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise TypeError("it is no object")
    return found


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def finite(value: Any) -> Any:
    """The value for JSON: numbers that are not finite are None, also within lists and mappings."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
