"""One process at a time in a run folder, and who that is.

The lock is the kernel's (`flock`, by filelock): it ends with its process, however that ends. Not every network file system
passes it on to other hosts. So the holder also keeps a record of itself fresh, and a record of another host that is fresh
counts as a lock.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from filelock import FileLock, Timeout

from seal_env.errors import RunFolderError, StorageError
from seal_env.journal import storage_errors, write_whole

LOCK: Final = ".lock"
OWNER: Final = ".owner.json"
REFRESH_SECONDS: Final = 30.0
STALE_SECONDS: Final = 300.0
"""Age of another host's record from which on its process counts as dead."""


class FolderInUseError(RunFolderError):
    """Another process works in the run folder: names its pid, its host, and since when."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Have a folder, which must exist, for this process alone.

    Raises:
        FolderInUseError: If another process has it.
        StorageError: If it cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    with storage_errors(folder):
        try:
            lock.acquire()
        except Timeout as error:
            raise FolderInUseError(_in_use(folder, _owner(folder))) from error
        except NotImplementedError as error:
            raise StorageError(
                f"out={str(folder)!r} is on a file system without locks: name a folder on a local one"
            ) from error
    stop = Event()
    try:
        with storage_errors(folder):
            _refuse_another_host(folder)
        write_whole(folder / OWNER, json.dumps(_me()))
        Thread(target=_refresh, args=(folder / OWNER, stop), daemon=True).start()
        yield
    finally:
        stop.set()
        with suppress(OSError):
            if _is_me(_owner(folder)):
                (folder / OWNER).unlink()
        lock.release()  # the file stays: whoever waits for it has it open


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _is_me(owner: dict[str, Any]) -> bool:
    return (owner.get("pid"), owner.get("host")) == (os.getpid(), socket.gethostname())


def _owner(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _in_use(folder: Path, owner: dict[str, Any]) -> str:
    who = f"process {owner.get('pid', '(unknown)')} on {owner.get('host', 'an unknown host')}"
    since = f" since {owner['since']}" if "since" in owner else ""
    return f"out={str(folder)!r} is in use by {who}{since}: wait for it, end it, or name another folder"


def _refuse_another_host(folder: Path) -> None:
    """Raise FolderInUseError for a fresh record of another host. Both times are the file system's."""
    owner = _owner(folder)
    if owner.get("host") in (None, socket.gethostname()):
        return
    os.utime(folder / LOCK)
    age = (folder / LOCK).stat().st_mtime - (folder / OWNER).stat().st_mtime
    if age < STALE_SECONDS:
        wait = f"if that process is dead, try again in {STALE_SECONDS - max(age, 0):.0f} s or delete {folder / OWNER}"
        raise FolderInUseError(f"{_in_use(folder, owner)} ({wait})")


def _refresh(record: Path, stop: Event) -> None:
    while not stop.wait(REFRESH_SECONDS):
        with suppress(OSError):
            os.utime(record)
