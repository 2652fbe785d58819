"""Run folders: who has one, which one a command takes, and what is left of a run that was stopped."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.errors import RunFolderError, SettingError, StorageError, TaskError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.folder_lock import LOCK, OWNER, STALE_SECONDS, FolderInUseError, hold
from seal_env.experiments.open_run import OpenRun, new_path, open_run
from seal_env.experiments.run_folder import FINISHED, SETTINGS

RUNS = Path("runs")
CONSOLE = Console(quiet=True)


@contextmanager
def opened(out: Path | None = None, result: bool = True, **run: Any) -> Iterator[OpenRun]:
    """A run that has begun; with a result unless told otherwise."""
    named, command = out is not None, ("seal-env", "run", "--subset", "a b")
    config = ExperimentConfig("SEAL-ARC-Mini-v0", {}, {}, out or RUNS / "new", named=named, command=command)
    with open_run(config, {"command": "test", **run}, CONSOLE) as run_of_it:
        run_of_it.begin()
        if result:
            (run_of_it.config.out / "episodes.jsonl").write_text("{}\n")
        yield run_of_it


def test_an_unfinished_run_with_the_same_settings_is_taken_up_and_a_finished_one_is_not() -> None:
    with opened(seed=1) as first:
        assert not first.resumes
    with opened(seed=2) as other:
        assert other.config.out != first.config.out
    with opened(seed=1) as again:
        assert (again.resumes, again.config.out) == (True, first.config.out)
        again.finish()
    with opened(seed=1) as new:
        assert (new.resumes, new.config.out.name) == (False, "new-3")


def test_runs_that_begin_at_once_have_folders_of_their_own() -> None:
    with ExitStack() as stack:
        folders = [stack.enter_context(opened()).config.out for _ in range(4)]
    assert [folder.name for folder in folders] == ["new", "new-2", "new-3", "new-4"]


def test_a_run_with_infrastructure_failures_is_not_finished() -> None:
    with opened() as first:
        first.finish(failed=1)
    with opened() as again:
        assert again.config.out == first.config.out


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    told = rf"in use by process {os.getpid()} on .* since .* UTC"
    with opened(tmp_path), pytest.raises(FolderInUseError, match=told), opened(tmp_path):
        pass
    with opened(tmp_path) as again:
        assert again.resumes


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with pytest.raises(StorageError, match="without locks"), hold(tmp_path):
        pass


@pytest.mark.parametrize(("host", "age", "taken"), [("elsewhere", 0, False), ("elsewhere", STALE_SECONDS + 60, True)])
def test_record_of_another_host_counts_while_it_is_fresh(tmp_path: Path, host: str, age: float, taken: bool) -> None:
    record = tmp_path / OWNER
    record.write_text(json.dumps({"pid": 1, "host": host, "since": "today"}))
    os.utime(record, (record.stat().st_atime, record.stat().st_mtime - age))
    with ExitStack() as stack:
        if not taken:
            stack.enter_context(pytest.raises(FolderInUseError, match="process 1 on elsewhere since today"))
        stack.enter_context(hold(tmp_path))
    assert record.exists() is not taken


@pytest.mark.parametrize("named", [True, False])
def test_a_start_that_fails_leaves_nothing(named: bool) -> None:
    with pytest.raises(TaskError) as caught, opened(RUNS / "deep" / "out" if named else None, result=False):
        raise TaskError("no such task")
    assert list(Path().iterdir()) == []
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        *((KeyboardInterrupt(), True), (KeyboardInterrupt(), False), (ZeroDivisionError(), True)),
        *((TaskError("bad"), True), (OSError(errno.ENOSPC, "full"), False)),
    ],
)
def test_what_stops_a_run_says_how_it_is_resumed(error: BaseException, result: bool) -> None:
    expected = StorageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught, opened(result=result):
        raise error
    assert caught.value.__notes__ == ["to resume: seal-env run --subset 'a b' --out runs/new"]
    assert (RUNS / "new").exists() is result


def test_a_full_disk_is_named_with_its_file() -> None:
    with pytest.raises(StorageError, match=r"'x/y': No space left on device"), opened():
        raise OSError(errno.ENOSPC, "full", "x/y")


def test_other_settings_begin_anew_where_nothing_would_be_lost(tmp_path: Path) -> None:
    with opened(tmp_path, result=False, seed=1):
        pass
    with opened(tmp_path, seed=2) as corrected:
        assert not corrected.resumes
    with pytest.raises(RunFolderError, match="was begun with seed=2, not 3"), opened(tmp_path, seed=3):
        pass
    assert (tmp_path / "episodes.jsonl").exists()


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    for content in (b"[run\n\xff", b"a = " + b"[" * 5000):
        (tmp_path / SETTINGS).write_bytes(content)
        with pytest.raises(RunFolderError, match=r"settings\.toml' cannot be read"), opened(tmp_path):
            pass


def test_results_of_others_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunFolderError, match="is not a run folder"), opened(tmp_path):
        pass
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_new_folder_that_cannot_be_locked_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    RUNS.joinpath("new").mkdir(parents=True)
    monkeypatch.setattr("filelock.FileLock.acquire", lambda _: os.mkdir("runs/new/x/y"))
    with pytest.raises(StorageError, match="cannot be written: No such file"), opened():
        pass
    assert os.listdir(RUNS) == ["new"]


def test_a_lock_that_is_a_link_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to("nowhere")
    with pytest.raises(StorageError, match=r"\.lock' cannot be written: Too many levels"), hold(tmp_path):
        pass


@pytest.mark.parametrize("out", ["file/run", "x" * 300, "half \udcff character"])
def test_a_folder_that_cannot_be_made_is_named(out: str) -> None:
    Path("file").touch()
    with pytest.raises(SettingError, match=r"out=.*(can be made|in UTF-8)"), opened(Path(out)):
        pass
    assert os.listdir() == ["file"]


def test_a_finished_run_has_a_mark() -> None:
    with opened() as run:
        run.finish()
    assert (run.config.out / FINISHED).exists()
    assert new_path("agent:Class").name.endswith("-agent-Class")
