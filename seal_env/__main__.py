"""`python -m seal_env` is `seal-env`."""

import sys

from seal_env.cli import main

if __name__ == "__main__":
    sys.exit(main())
