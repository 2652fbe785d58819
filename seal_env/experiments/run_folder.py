"""The run folder: settings.toml, written once, episodes.jsonl, one flushed line an episode, and cache.json at the end."""

from __future__ import annotations

import json
import math
import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import tomli_w

from seal_env.errors import RunFolderError, SettingError
from seal_env.inner_loop.cache.loop import CacheStatistics
from seal_env.journal import write_whole

RECORDED_PACKAGES = ("seal-env", "torch", "transformers", "peft", "gymnasium", "numpy", "tokenizers")


def package_versions() -> dict[str, str]:
    """Versions of what an episode's numbers depend on; "not installed" where a package is missing."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """TOML knows no null: a setting that is None is left out."""
    return {name: value for name, value in settings.items() if value is not None}


def refuse_existing(path: Path) -> None:
    """Raise RunFolderError if there is anything at `path`."""
    if os.path.lexists(path):
        raise RunFolderError(f"out={str(path)!r} exists already; a run is never overwritten: name another folder")


def begin_or_resume(path: Path, settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Make a folder with settings.toml, or see that the one that is there was begun with the same; True in that case.

    Tables named `versions` and `machine` may differ. Raises RunFolderError: it names what differs, or says it is no run's.
    """
    tables = {name: without_none(table) for name, table in settings.items()}
    file = path / "settings.toml"
    if not os.path.lexists(path):
        write_whole(file, tomli_w.dumps(tables))
        return False
    if not file.is_file():
        raise RunFolderError(f"out={str(path)!r} exists and is no run of seal-env: name another folder")
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    for name in {*found, *tables} - {"versions", "machine"}:
        then, now = found.get(name, {}), tomllib.loads(tomli_w.dumps(tables.get(name, {})))
        for field in sorted({*then, *now}):
            if then.get(field) != now.get(field):
                raise RunFolderError(
                    f"out={str(path)!r} was begun with {field}={then.get(field)!r}, not {now.get(field)!r}: "
                    f"name another folder, or the same settings to go on"
                )
    return True


class RunFolder:
    """A new folder for one run. Raises RunFolderError if it exists, SettingError if it cannot be made."""

    def __init__(self, path: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self.path = path
        refuse_existing(path)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise SettingError("out", str(path), f"a folder that can be made: {error.strerror}") from error
        tables = {name: without_none(table) for name, table in settings.items()}
        (path / "settings.toml").write_text(tomli_w.dumps(tables), encoding="utf-8")
        self._episodes: TextIO = (path / "episodes.jsonl").open("x", encoding="utf-8")
        self._versions = package_versions()

    def write_episode(self, record: Mapping[str, Any]) -> None:
        """Append one episode; it is on its way to the disk when this returns. Numbers that are not finite become null.

        Characters beyond ASCII are escaped: an agent may write line separators, and half surrogate pairs, which UTF-8 lacks.
        """
        line = json.dumps(_finite({**record, "versions": self._versions}), allow_nan=False)
        self._episodes.write(line + "\n")
        self._episodes.flush()

    def write_cache(self, cached: CacheStatistics) -> None:
        """Write cache.json: how often the inner loop knew a result. Nothing for a run without a cache."""
        if cached.jobs:
            counts = asdict(cached) | {"hit_rate": cached.hit_rate}
            (self.path / "cache.json").write_text(json.dumps(counts) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Close episodes.jsonl."""
        self._episodes.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
