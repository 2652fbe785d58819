"""Disks that are full, folders that cannot be written to, and files in the place of others.

A limit on the size of files stands for a full disk: the kernel's refusal comes in the middle of a write, as it does there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.faults.children import TRACEBACK, command, finish, limit_file_size
from benchmarks.faults.commands import COMMANDS, OUT, Case
from benchmarks.faults.records import Finding

SAMPLES: Final = "samples.jsonl"
NOBODY: Final = 65534
ROOT: Final = 0


@dataclass(frozen=True)
class Fault:
    """A disk that does not do what a command needs.

    Attributes:
        command: A name in COMMANDS.
        said: What the message has to say.
        begin: (working folder) -> what the process does before the command; it may change files.
        end: (working folder) -> everything is as it should be again.
        begun: Whether half of a run is there already.
    """

    command: str
    said: str
    begin: Callable[[Path], Callable[[], object] | None]
    end: Callable[[Path], object] = lambda folder: None
    begun: bool = False


def _limit(size: int) -> Callable[[Path], Callable[[], object]]:
    return lambda folder: limit_file_size(size)


def _as_nobody() -> None:
    """Root may write anywhere."""
    if os.getuid() == ROOT:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _read_only(name: str) -> Callable[[Path], Callable[[], object]]:
    def begin(folder: Path) -> Callable[[], object]:
        (folder / name).chmod(0o555)
        return _as_nobody

    return begin


def _writable(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).chmod(0o755)


def _folder_for(name: str) -> Callable[[Path], None]:
    def begin(folder: Path) -> None:
        (folder / OUT / name).unlink(missing_ok=True)
        (folder / OUT / name).mkdir(parents=True)

    return begin


def _no_folder(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / OUT / name).rmdir()


def _file_for(name: str) -> Callable[[Path], None]:
    def begin(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("somebody's notes")

    return begin


def _no_file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _full_output(folder: Path) -> Callable[[], object]:
    def prepare() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    return prepare


FAULTS: Final[dict[str, Fault]] = {
    "full from the start: run": Fault("run", "File too large", _limit(1_000)),
    "full: run": Fault("run", "File too large", _limit(6_000)),
    "full: eval": Fault("eval", "File too large", _limit(3_000)),
    "full: train rest-em": Fault("train rest-em", "File too large", _limit(60_000)),
    "full: train grpo": Fault("train grpo", "File too large", _limit(60_000)),
    "full: reproduce": Fault("reproduce", "File too large", _limit(3_500)),
    "full: standard output": Fault("run", "standard output", _full_output),
    "read-only from the start": Fault("run", "Permission denied", _read_only("."), _writable(".")),
    "read-only on resumption": Fault("eval", "Permission denied", _read_only(OUT), _writable(OUT), begun=True),
    "a folder for a journal": Fault(
        "eval", "Is a directory", _folder_for("samples.jsonl"), _no_folder("samples.jsonl"), True
    ),
    "a file for the run folder": Fault("run", "exists already", _file_for(OUT), _no_file(OUT)),
    "a file for a folder": Fault("train rest-em", "round-1", _file_for(f"{OUT}/round-1"), _no_file(f"{OUT}/round-1"), True),
}


def try_disks(folder: Path, expected: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each fault. expected: results by command, which are filled in."""
    for number, (name, fault) in enumerate(FAULTS.items()):
        case = COMMANDS[fault.command]
        problems = list(_try(folder / f"disk-{number}", fault, case, expected))
        yield Finding(name, 1, problems, fault.command)


def result_undisturbed(case: Case, folder: Path, name: str, expected: dict[str, Any]) -> str:
    """Have the result of a run that nothing happens to in `expected`; what is wrong with it."""
    if name in expected:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    problem = finish(case.arguments, folder)
    if not problem:
        expected[name] = case.result(folder / OUT)
    return problem and f"undisturbed: {problem}"


def _try(folder: Path, fault: Fault, case: Case, expected: dict[str, Any]) -> Iterator[str]:
    if problem := result_undisturbed(case, folder.parent / f"whole-{fault.command}", fault.command, expected):
        yield problem
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if fault.begun:
        _begin(case, folder)
    prepare = fault.begin(folder)
    child = command(case.arguments, folder, "fault", prepare)
    if child.wait() is None:
        child.kill()
        yield "hangs"
    said = child.said()
    if child.code != 2 or TRACEBACK in said or fault.said not in said:
        yield f"exit code {child.code}, said {said[-300:]!r}"
    fault.end(folder)
    _give_back(folder)
    if problem := finish(case.arguments, folder):
        yield f"afterwards: {problem}"
    elif case.result(folder / OUT) != expected[fault.command]:
        yield f"afterwards: another result, see {folder}"


def _begin(case: Case, folder: Path) -> None:
    """Half a run: a process that is killed once there is a journal with something in it."""
    child = command(case.arguments, folder, "begun")
    while child.wait(0) is None:
        if any(path.stat().st_size for path in folder.rglob("*.jsonl")):
            child.kill()


def _give_back(folder: Path) -> None:
    """Have what nobody's process has made belong to this user again."""
    if os.getuid() == ROOT:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, ROOT, ROOT)
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
