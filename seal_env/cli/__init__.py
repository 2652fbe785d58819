"""The command line."""

from seal_env.cli.main import build_parser, main

__all__ = ["build_parser", "main"]
