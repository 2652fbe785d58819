"""`seal-env` and `python -m seal_env`."""

import io
import os
import sys

from seal_env.errors import MissingExtraError, needs_extra
from seal_env.starting import INTERRUPTED

SPINS = "1000"
"""How often a thread looks for work before it sleeps: what libgomp takes where threads outnumber processors."""


def run() -> int:
    """The command line; one line if its packages are missing, or if it is interrupted while it starts."""
    _open_streams()
    _share_processors()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its log lines have a form and a stream of their own
    try:
        with needs_extra("cli"):
            from seal_env.cli import main
        return main()
    except MissingExtraError as error:
        sys.exit(f"seal-env: {error}")
    except KeyboardInterrupt:
        print("seal-env: interrupted", file=sys.stderr)
        return INTERRUPTED


def _share_processors() -> None:
    """Have torch's threads sleep while they wait, before it is imported: they would spin on the time of other programs."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _open_streams() -> None:
    """Open the standard streams that the process was started without: files would get their numbers, and what is printed.

    A character that the output's encoding has not is written as a code.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (open as long as the process)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(run())
