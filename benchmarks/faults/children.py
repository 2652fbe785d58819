"""Commands of seal-env in processes of their own, which begin with everything imported: they are forks of this one."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seal_env.cli import main

LIMIT_SECONDS: Final = 600.0
"""A command that takes longer hangs."""
KILLED: Final = -signal.SIGKILL
POLL_SECONDS: Final = 0.02
TRACEBACK: Final = "Traceback (most recent call last)"


@dataclass
class Child:
    """A process.

    Attributes:
        pid: Its id, also of its process group.
        log: What it prints.
        code: Its exit code, minus the signal that ended it; None while it runs.
    """

    pid: int
    log: Path
    code: int | None = None

    def wait(self, seconds: float = LIMIT_SECONDS) -> int | None:
        """Wait for the end, but not longer than this; the exit code."""
        ends = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > ends:
                break
            else:
                time.sleep(POLL_SECONDS)
        return self.code

    def kill(self) -> None:
        """End it with SIGKILL, unless it has ended."""
        if self.wait(0) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def fork(work: Callable[[], int], folder: Path, name: str = "log", prepare: Callable[[], object] | None = None) -> Child:
    """Do work in a fork.

    Args:
        work: Returns the exit code.
        folder: Its working folder; its output goes to the file `name` beside it.
        name: See `folder`.
        prepare: Called in the fork before anything else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"{folder.name}-{name}"
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid, log)
    code = 99
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        warnings.resetwarnings()
        if prepare is not None:
            prepare()
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)  # without the tidying of the process that was forked


def command(arguments: Sequence[str], folder: Path, name: str = "log", prepare: Callable[[], object] | None = None) -> Child:
    """A command of seal-env in a fork; see `fork`."""

    def work() -> int:
        sys.argv[0] = "seal-env"
        return main(arguments)

    return fork(work, folder, name, prepare)


def finish(arguments: Sequence[str], folder: Path, name: str = "log") -> str:
    """Run a command to its end; what is wrong with that end, or an empty text."""
    child = command(arguments, folder, name)
    if child.wait() is None:
        child.kill()
        return f"hangs: over {LIMIT_SECONDS:.0f} s"
    if child.code or TRACEBACK in child.said():
        return f"exit code {child.code}: {child.said()[-300:]}"
    return ""


def limit_file_size(size: int) -> Callable[[], None]:
    """What has every file of a process end at `size` bytes, as on a full disk."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare
