"""The command line, `seal-env` and `python -m seal_env`: parsing and printing only.

The arguments of a process come in; settings for an experiment, lines on a terminal and an exit code go out.
"""

from seal_env.cli.main import commands, main

__all__ = ["commands", "main"]
