"""Files that survive a process which is killed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from seal_env.errors import RunFolderError, StorageError
from seal_env.journal import Journal, storage_problem, write_file, write_folder, write_whole


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


DAMAGED = {
    "nothing": b"\0" * 9,
    "no JSON": b"x",
    "a list": b"[1]",
    "nested": b"[" * 99999,
    "no text": b'{"n": "\xff"}',
    "other": b"{}",
}


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"n": 0})
    journal.path.write_bytes(journal.path.read_bytes() + DAMAGED[line] + b"\n")
    with pytest.raises(RunFolderError, match=r"a\.jsonl', line 2 cannot be read .*delete this line and all after it"):
        journal.read_as(lambda record: record["n"])


def test_whatever_a_disk_refuses_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "a.jsonl")
    spoilt: tuple[Callable[[], object], ...] = (
        lambda: journal.path.symlink_to(journal.path),
        lambda: shutil.rmtree(journal.path.parent),
    )
    for spoil in spoilt:
        spoil()
        with pytest.raises(StorageError, match=r"a\.jsonl' cannot be written: (Too many levels|No such file)"):
            journal.append({"n": 0})


def full_after(count: int) -> Callable[[int, bytes], int]:
    """`os.write` on a disk with room for so many bytes."""
    left, write = [count], os.write

    def limited(descriptor: int, content: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "full")
        written = write(descriptor, bytes(content)[: left[0]])
        left[0] -= written
        return written

    return limited


def test_nothing_is_left_of_a_record_that_found_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"n": 0})
    monkeypatch.setattr("os.write", full_after(5))
    with pytest.raises(StorageError, match=r"a\.jsonl' cannot be written: No space left"):
        journal.append({"n": 1})
    monkeypatch.undo()
    journal.append({"n": 2})
    assert [record["n"] for record in journal.read()] == [0, 2]


def test_what_was_there_stays_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "first")

    def refuse(_: int) -> None:
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match=r"a\.json' cannot be written: Disk quota exceeded"):
        write_whole(path, "second")
    assert (path.read_text(), os.listdir(tmp_path)) == ("first", ["a.json"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "No space left"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), "unexpected pos"),
        (ValueError("nothing about disks"), None),
        (ConnectionError(111, "refused"), None),
    ],
)
def test_errors_of_libraries_that_are_about_the_disk_are_known(error: Exception, said: str | None) -> None:
    found = storage_problem(error)
    assert said in found if said and found else found is said


def test_nothing_is_left_of_a_folder_that_found_no_room(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(StorageError, match="adapter"):
        write_folder(tmp_path / "adapter", write)
    assert os.listdir(tmp_path) == []


def test_a_file_is_written_whole_over_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    for text in ("first", "second"):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_file_whose_writing_is_interrupted_stays_what_it_was(tmp_path: Path) -> None:
    def interrupted(new: Path) -> None:
        new.write_text("half")
        raise KeyboardInterrupt

    write_file(tmp_path / "policy", lambda new: new.write_bytes(b"whole"))
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "policy", interrupted)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("policy", b"whole")]
