"""Damage to the file of cached results, in many forms: every run with it has the right result."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.faults.children import finish
from benchmarks.faults.commands import COMMANDS, OUT
from benchmarks.faults.disk import result_undisturbed
from benchmarks.faults.records import Finding
from seal_env.store import FILE_NAME

Damage = Callable[[Path], object]


def _replace(start: int, end: int | None, byte: int) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        last = len(content) if end is None else end
        content[start:last] = bytes([byte]) * (last - start)
        path.write_bytes(content)

    return damage


def _execute(statement: str) -> Damage:
    def damage(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    return damage


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(200, len(content), 997):
        content[position] ^= 0x20
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _log_of_another(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(os.urandom(4096))


DAMAGES: Final[dict[str, Damage]] = {
    "empty file": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"somebody's notes\n" * 100),
    "header overwritten": _replace(0, 100, 0),
    "pages overwritten": _replace(100, None, 255),
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "bits flipped": _flip,
    "values edited": _execute("UPDATE entries SET value = replace(value, 'true', 'false')"),
    "digests deleted": _execute("UPDATE entries SET digest = ''"),
    "rows exchanged": _execute("UPDATE entries SET key = key || 'x'"),
    "table missing": _execute("DROP TABLE entries"),
    "another version": _execute("PRAGMA user_version = 77"),
    "another program's": _execute("PRAGMA application_id = 12345"),
    "a folder": _folder,
    "somebody else's log": _log_of_another,
}


def damage_caches(folder: Path, expected: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each form of damage. expected: results by command, which are filled in."""
    case = COMMANDS["run"]
    whole = folder / "whole-cache"
    shutil.rmtree(whole, ignore_errors=True)
    if problem := result_undisturbed(case, whole, "run", expected) or finish(case.arguments, whole):
        yield Finding("cache", 0, [problem])
        return
    for number, (name, damage) in enumerate(DAMAGES.items()):
        here = folder / f"cache-{number}"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir(parents=True)
        cache = here / FILE_NAME
        shutil.copy(whole / OUT / FILE_NAME, cache)
        damage(cache)
        problems = []
        if problem := finish((*case.arguments, "--cache-file", str(cache)), here):
            problems.append(problem)
        elif case.result(here / OUT) != expected["run"]:
            problems.append(f"another result, see {here}")
        yield Finding(name, 1, problems)
