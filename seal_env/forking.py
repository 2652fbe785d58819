"""What a forked process must not inherit as it is: locks that other threads held, and open connections.

A fork copies all memory but one thread only. A lock that another thread held at that moment would never be free in the new
process, so the package's locks are made here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock, local
from weakref import WeakSet

_STARTED_AS = os.getpid()


def is_fork() -> bool:
    """Whether this process was forked off after seal-env was imported."""
    return os.getpid() != _STARTED_AS


class Lock:
    """A re-entrant lock that a forked process finds free, whoever held it before.

    Args:
        delays_fork: Whether a fork waits until no other thread holds the lock, because what it guards cannot be copied
            halfway, such as an open file.
    """

    def __init__(self, delays_fork: bool = False) -> None:
        self._lock = RLock()
        _LOCKS.add(self)
        if delays_fork:
            _DELAYING.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        with self._lock:
            yield

    def acquire(self) -> None:
        """Take the lock; a fork is about to happen."""
        self._lock.acquire()

    def release(self) -> None:
        """Give back what `acquire` took."""
        self._lock.release()

    def free(self) -> None:
        """Forget who holds the lock; this is a new process."""
        self._lock = RLock()


_LOCKS: WeakSet[Lock] = WeakSet()
_DELAYING: WeakSet[Lock] = WeakSet()
_FORKING = local()
"""`locks`: those that this thread holds while it forks; several threads may fork at once."""


def _before() -> None:
    _FORKING.locks = sorted(_DELAYING, key=id)  # in one order, so that no two threads wait for each other
    for lock in _FORKING.locks:
        lock.acquire()


def _in_parent() -> None:
    for lock in _FORKING.locks:
        lock.release()
    _FORKING.locks = []


def _in_child() -> None:
    _FORKING.locks = []
    for lock in list(_LOCKS):
        lock.free()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
