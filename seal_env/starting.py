"""What an interrupt does while the command line is still importing packages, which takes most of its first second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

INTERRUPTED: Final = 130
PROGRAM: Final = "seal-env"


@contextmanager
def interrupted_in_a_line() -> Iterator[None]:
    """A context that ends the process with a line and INTERRUPTED after Ctrl-C, if it is the command line's.

    Raises:
        KeyboardInterrupt: In any other program, which imports this package.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not is_command_line():
            raise
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def is_command_line() -> bool:
    """Whether this process is `seal-env` or `python -m seal_env`, which begins with this package."""
    program = sys.argv[0].replace("\\", "/").rpartition("/")[2] if sys.argv else ""
    return program.removesuffix(".exe") == PROGRAM or (program == "-m" and "seal_env" in sys.orig_argv)
