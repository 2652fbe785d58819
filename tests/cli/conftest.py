"""`seal-env` in a new folder and a terminal without colours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cli import Call


@pytest.fixture
def seal_env(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Call(capsys)
