"""What a run folder holds beside its results: settings.toml, and FINISHED once there is nothing left to do.

`seal_env.experiments.open_run` opens run folders; this module says what is in them.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import tomli_w

from seal_env.episodes.runtime import Runtime
from seal_env.errors import RunFolderError
from seal_env.experiments.folder_lock import LOCK, OWNER
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.model.device import describe_device
from seal_env.options import Options
from seal_env.redaction import redacted
from seal_env.report.services import TENSORBOARD
from seal_env.report.tracker import RECORD, WANDB
from seal_env.settings import Settings, default_of
from seal_env.store import FILE_NAME, cache_path

SETTINGS: Final = "settings.toml"
FINISHED: Final = "finished"
"""An empty file in the folder of a run that has nothing left to do."""
BOOKKEEPING: Final = (SETTINGS, FINISHED, LOCK, OWNER, RECORD)
DECIDING: Final = ("run", "environment", "agent_options", "recipe")
"""Tables of settings.toml that settings make. The others follow from these and from the machine."""
EXTENT: Final = "extent"
"""A table of what a finished run may be extended by."""
LISTED: Final = 20
"""Run folders that a message names."""
MAY_MOVE: Final = ("cache_file", "workers", "ray_address", "worker_options")
"""Settings that decide no result."""

Tables = Mapping[str, Mapping[str, Any]]


def deciding_tables(
    run: Mapping[str, Any], used: Settings, options: Options | Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """The tables of settings.toml that decide the results, resolved. Nothing is loaded for them.

    Args:
        run: The command and its settings.
        used: Settings of the environment.
        options: Of the agent; None if it has none.

    Raises:
        SettingError: For a device that does not exist.
    """
    return {
        "run": dict(run),
        "environment": used.flat() | {"device": resolve_device(used.device, used.inner_loop)},
        "agent_options": options.model_dump(mode="json") if isinstance(options, Options) else dict(options or {}),
        "recipe": asdict(used.recipe),
    }


def machine_tables(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """The tables of settings.toml that follow from the others and from the machine. The runtime is loaded."""
    return {
        "adapted": dict(runtime.adapted.counts),
        "not_adapted": dict(runtime.adapted.missing),
        "model": dict(runtime.about_model),
        "machine": {"device": describe_device(runtime.settings.device, runtime.settings.inner_loop)},
        "versions": package_versions(),
    }


def with_cache_file(environment: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Settings of an environment whose cache file, unless they or SEAL_ENV_CACHE name one, is in the run folder `out`."""
    settings = dict(environment)
    cached = settings.get("cache", default_of("cache")) == "on" and settings.get("evaluator") != "vllm"
    if cached and cache_path(settings.get("cache_file")) is None:
        settings["cache_file"] = str(out / FILE_NAME)
    return settings


def as_toml(tables: Tables) -> str:
    """TOML has no null: a setting that is None is left out."""
    tables = redacted(tables)
    return tomli_w.dumps({name: {key: x for key, x in table.items() if x is not None} for name, table in tables.items()})


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """The tables in the settings.toml of the run folder `path`.

    Raises:
        RunFolderError: If there is none, or it cannot be read.
    """
    file = path / SETTINGS
    if not file.exists():
        missing = f"it has no {SETTINGS}{_runs_inside(path)}" if path.is_dir() else "there is no such folder"
        raise RunFolderError(f"{str(path)!r} is no run folder: {missing}")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(f"{str(file)!r} cannot be read ({reason}): repair it, or name another folder") from error


def _runs_inside(path: Path) -> str:
    """The run folders in a folder that is none, for its message."""
    with suppress(OSError):
        found = sorted(str(each.parent) for each in path.glob(f"*/{SETTINGS}"))
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        return f". Run folders in it: {' '.join(map(shlex.quote, found[:LISTED]))}{more}" if found else ""
    return ""


def first_difference(found: Tables, tables: Tables, names: Sequence[str] = DECIDING) -> tuple[str, Any, Any] | None:
    """The first setting that differs, with both values; None if there is none.

    Args:
        found: What `read_settings` returned.
        tables: What they are compared with.
        names: Of the tables to compare.
    """
    now_all = tomllib.loads(as_toml(tables))
    for name in names:
        then, now = _table(found, name), _table(now_all, name)
        for field in sorted({*then, *now} - {*MAY_MOVE}):
            if then.get(field) != now.get(field):
                return field, then.get(field), now.get(field)
    return None


def check_commit(path: Path, tables: Tables) -> None:
    """Check that a run is resumed with the model that it began with, where that is from the hub.

    Args:
        path: The run folder.
        tables: Of settings.toml as they would be now.

    Raises:
        RunFolderError: If the branch has moved.
    """
    then, now = (_table(each, "model").get("commit") for each in (read_settings(path), tables))
    if then and now and then != now:
        raise RunFolderError(
            f"out={str(path)!r} was begun with commit {then} of the model, whose branch is at {now} now: "
            f"name another folder, with revision={then!r} for the same model"
        )


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of a file that somebody may have edited."""
    table = tables.get(name, {})
    return table if isinstance(table, Mapping) else {}


def refuse_foreign(path: Path) -> None:
    """Raise RunFolderError for what is there and is neither a run folder nor an empty one."""
    if not os.path.lexists(path):
        return
    with suppress(OSError):
        names = {each.name for each in path.iterdir()}
        if SETTINGS in names or all(_is_bookkeeping(Path(name)) for name in names):
            return
    raise RunFolderError(f"out={str(path)!r} exists already and is not a run folder of seal-env: name another folder")


def has_results(path: Path) -> bool:
    """Whether anything in a folder would be missed: a file with content that is not the run's own bookkeeping."""
    files = (each for each in path.rglob("*") if each.is_symlink() or (each.is_file() and each.stat().st_size > 0))
    return any(not _is_bookkeeping(each.relative_to(path)) for each in files)


def has_cache(path: Path) -> bool:
    """Whether results of the inner loop are in a folder."""
    return next(path.rglob(f"{FILE_NAME}*"), None) is not None


def _is_bookkeeping(file: Path) -> bool:
    kept = file.name in BOOKKEEPING or file.name.startswith(FILE_NAME) or file.suffix == ".new"
    return kept or TENSORBOARD in file.parts or WANDB in file.parts


def tidy(path: Path, made: Sequence[Path]) -> None:
    """Delete a run's bookkeeping and empty files in a folder without results, and folders that were made if they are empty.

    Args:
        path: The folder.
        made: Folders that were made, the deepest first.
    """
    inside = sorted(path.rglob("*"), reverse=True) if os.path.isdir(path) else []
    for each in inside:
        with suppress(OSError):
            if each.is_dir() and not each.is_symlink():
                each.rmdir()
            elif _is_bookkeeping(each.relative_to(path)) or (each.suffix == ".jsonl" and not each.stat().st_size):
                each.unlink()
    for each in made:
        with suppress(OSError):
            each.rmdir()


def files_below(folder: Path) -> list[Path]:
    """All files in a folder, in order, while a run may be writing there: folders that move meanwhile are left out."""
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)
