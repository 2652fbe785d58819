"""`seal-env` and `python -m seal_env`."""

import sys

from seal_env.errors import MissingExtraError, needs_extra


def run() -> int:
    """The command line; one line if its packages are missing."""
    try:
        with needs_extra("cli"):
            from seal_env.cli import main
    except MissingExtraError as error:
        sys.exit(f"seal-env: {error}")
    return main()


if __name__ == "__main__":
    sys.exit(run())
