"""Files that survive a process which is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from seal_env.journal import Journal, write_whole


def test_records_come_back_in_order_and_of_another_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "a.jsonl")
    assert journal.read() == []
    for number in range(3):
        journal.append({"n": number, "text": "line\nbreak \u2028 \ud800"})
    assert [record["n"] for record in Journal(journal.path).read()] == [0, 1, 2]
    assert journal.read()[0]["text"] == "line\nbreak \u2028 \ud800"


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_that_was_cut_off_is_taken_away(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"n": 0})
    whole = journal.path.read_bytes()
    journal.append({"n": 111})
    journal.path.write_bytes(journal.path.read_bytes()[: len(whole) + cut])
    again = Journal(journal.path)
    again.append({"n": 2})
    assert [record["n"] for record in again.read()] == ([0, 111, 2] if cut >= 11 else [0, 2])


def test_a_file_is_written_whole_over_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    for text in ("first", "second"):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]
