"""`seal-env` as a function."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from seal_env.cli import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Call:
    """`seal-env` with arguments: the exit code and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Said(code, *self._capsys.readouterr())
