"""Files that survive a process which is killed at any moment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seal_env.redaction import redacted


class Journal:
    """JSON lines that are appended to, each whole or not at all: a line that was cut off is taken away when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._whole()

    def _whole(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(self.path, end)

    def read(self) -> list[dict[str, Any]]:
        """All records so far."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").split("\n") if line]

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; it is on the disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(redacted(record)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all; it is on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(redacted(text))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def write_folder(directory: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a new folder, which then appears as `directory`, unless that exists already."""
    if directory.exists():
        return
    new = directory.with_name(directory.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    write(new)
    os.replace(new, directory)
