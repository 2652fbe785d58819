"""The campaign of faults, very small."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faults import disk
from benchmarks.faults.__main__ import PARTS, main
from benchmarks.faults.commands import COMMANDS, timeless


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Arguments; `run` alone, with one episode: a kill and a full disk."""
    monkeypatch.chdir(tmp_path)
    small = tuple("mini-eval:1" if each.startswith("mini-eval") else each for each in COMMANDS["run"].arguments)
    monkeypatch.setitem(COMMANDS, "run", replace(COMMANDS["run"], arguments=small))
    monkeypatch.setattr("benchmarks.faults.kills.COMMANDS", {"run": COMMANDS["run"]})
    monkeypatch.setattr(disk, "FAULTS", {"full": disk.FAULTS["full from the start: run"]})
    monkeypatch.setattr("benchmarks.faults.__main__.import_everything", lambda: None)
    return ("--parts", "kills,disk", "--scale", "0.02", "--folder", "faults", "--json", "faults.json")


def test_everything_holds_and_is_not_tried_twice(campaign: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert main(list(campaign)) == 0
    assert dict(os.environ) == before
    parts = json.loads(Path("faults.json").read_text())["parts"]
    assert {part: [case["tried"] for case in about["cases"]] for part, about in parts.items()} == {
        "kills": [1],
        "disk": [1],
    }
    capsys.readouterr()
    assert main(list(campaign)) == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.endswith("  held")]


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--parts", "kills,nothing"])
    assert "unknown parts: nothing" in capsys.readouterr().err
    assert len(PARTS) == 6


def test_times_are_no_result() -> None:
    assert timeless({"a": [{"seconds": 1, "b": 2}], "timings": {}}) == {"a": [{"b": 2}]}
