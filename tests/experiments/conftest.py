"""Shared fixtures: a new working folder, and the calls of the inner loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from tests.helpers.cli import Call


@pytest.fixture(autouse=True)
def _in_a_new_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def seal_env(capsys: pytest.CaptureFixture[str]) -> Call:
    return Call(capsys)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each call of the inner loop had."""
    calls: list[int] = []
    run = BatchedInnerLoop.run

    def counted(self: BatchedInnerLoop, jobs: Any) -> Any:
        calls.append(len(jobs))
        return run(self, jobs)

    monkeypatch.setattr(BatchedInnerLoop, "run", counted)
    return calls


@pytest.fixture
def cut() -> Callable[[Path, int], None]:
    """(path, records): leave the first records of a journal, and half of the next."""

    def shorten(path: Path, records: int) -> None:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:records]) + lines[records][:20], encoding="utf-8")

    return shorten
