"""The run folder: settings.toml, written once; episodes.jsonl, one flushed line for each episode; cache.json at the end."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import tomli_w

from seal_env.episodes.runtime import Runtime
from seal_env.errors import RunFolderError, SettingError
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.cache.loop import CacheStatistics
from seal_env.inner_loop.model.device import describe_device
from seal_env.journal import write_whole
from seal_env.options import Options
from seal_env.redaction import redacted
from seal_env.settings import default_of
from seal_env.store import FILE_NAME, cache_path

DERIVED = {"versions", "machine", "adapted", "not_adapted"}
"""Tables of settings.toml that settings do not make."""


def settings_tables(run: Mapping[str, Any], runtime: Runtime, options: Options | None = None) -> dict[str, dict[str, Any]]:
    """The tables of settings.toml: everything that decides the results, resolved.

    Args:
        run: The command and its settings.
        runtime: Of the environment.
        options: Of the agent; None if it has none.
    """
    settings = runtime.settings
    device = resolve_device(settings.device)
    return {
        "run": dict(run),
        "environment": settings.flat() | {"device": device},
        "agent_options": {} if options is None else options.model_dump(mode="json"),
        "recipe": asdict(settings.recipe),
        "adapted": dict(runtime.adapted.counts),
        "not_adapted": dict(runtime.adapted.missing),
        "machine": {"device": describe_device(device)},
        "versions": package_versions(),
    }


def with_cache_file(environment: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Settings of an environment whose cache file, unless they or SEAL_ENV_CACHE name one, is in the run folder `out`."""
    settings = dict(environment)
    cached = settings.get("cache", default_of("cache")) == "on" and settings.get("evaluator") != "vllm"
    if cached and cache_path(settings.get("cache_file")) is None:
        settings["cache_file"] = str(out / FILE_NAME)
    return settings


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML has no null: a setting that is None is left out."""
    tables = redacted(tables)
    return tomli_w.dumps({name: {key: x for key, x in table.items() if x is not None} for name, table in tables.items()})


def refuse_existing(path: Path) -> None:
    """Raise RunFolderError if there is anything at `path`."""
    if os.path.lexists(path):
        raise RunFolderError(f"out={str(path)!r} exists already; a run is never overwritten: name another folder")


def begin_or_resume(path: Path, settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Make a folder with settings.toml, or check that the existing one has the same.

    Args:
        path: The folder.
        settings: Tables of settings; those that follow from the others and from the machine may differ, see `DERIVED`.

    Returns:
        Whether the folder existed.

    Raises:
        RunFolderError: If another run began in the folder, or it has no settings.toml. Names the setting that differs.
    """
    file, text = path / "settings.toml", _toml(settings)
    if not os.path.lexists(path):
        write_whole(file, text)
        return False
    if not file.is_file():
        raise RunFolderError(f"out={str(path)!r} exists and is not a run folder of seal-env: name another folder")
    found, tables = tomllib.loads(file.read_text(encoding="utf-8")), tomllib.loads(text)
    for name in sorted({*found, *tables} - DERIVED):
        then, now = found.get(name, {}), tables.get(name, {})
        for field in sorted({*then, *now}):
            if then.get(field) != now.get(field):
                raise RunFolderError(
                    f"out={str(path)!r} was begun with {field}={then.get(field)!r}, not {now.get(field)!r}: "
                    f"name another folder, or resume with the same settings"
                )
    return True


class RunFolder:
    """A new folder for one run.

    Args:
        path: Must not exist.
        settings: Tables of settings.toml.

    Raises:
        RunFolderError: If the folder exists.
        SettingError: If it cannot be created.
    """

    def __init__(self, path: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self.path = path
        refuse_existing(path)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise SettingError("out", str(path), f"a folder that can be made: {error.strerror}") from error
        (path / "settings.toml").write_text(_toml(settings), encoding="utf-8")
        self._episodes: TextIO = (path / "episodes.jsonl").open("x", encoding="utf-8")
        self._versions = package_versions()

    def write_episode(self, record: Mapping[str, Any]) -> None:
        """Append one episode and flush. Numbers that are not finite become null.

        Characters beyond ASCII are escaped: agents may write line separators, and lone surrogates, which UTF-8 lacks.
        """
        line = json.dumps(_finite(redacted({**record, "versions": self._versions})), allow_nan=False)
        self._episodes.write(line + "\n")
        self._episodes.flush()

    def write_cache(self, cached: CacheStatistics) -> None:
        """Write cache.json: how many results were cached. Nothing is written for a run without a cache."""
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
