"""A run folder, opened: found or made, held by this process alone, and left so that the run can be resumed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console

from seal_env.episodes.runtime import Runtime
from seal_env.errors import RunFolderError, SealError, SettingError, StorageError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.folder_lock import FolderInUseError, hold
from seal_env.experiments.run_folder import (
    DECIDING,
    EXTENT,
    FINISHED,
    SETTINGS,
    as_toml,
    check_commit,
    deciding_tables,
    first_difference,
    has_cache,
    has_results,
    machine_tables,
    read_settings,
    refuse_foreign,
    tidy,
)
from seal_env.journal import storage_problem, write_whole
from seal_env.options import Options
from seal_env.printable import HALF_CHARACTER
from seal_env.redaction import redacted, redacted_message
from seal_env.report.formats import plural
from seal_env.report.terminal import Terminal
from seal_env.report.tracker import Tracker


class OpenRun:
    """A run folder that this process holds.

    Attributes:
        config: The experiment, with the folder that was found or made.
        resumes: Whether there is a run in the folder already.
        tables: The settings that decide the results.
    """

    def __init__(self, config: ExperimentConfig, tables: Mapping[str, Mapping[str, Any]], console: Console) -> None:
        self.config, self.tables, self._console = config, tables, console
        self.resumes = (config.out / SETTINGS).is_file() and _check_same(config.out, tables)

    def track(self) -> Tracker:
        """What the run is tracked by. A service that is down stops no run that is resumed, and no part of an experiment."""
        lenient = self.resumes or self.config.part
        return Tracker(self.config.out, self.tables, self.config.track, self._console, lenient)

    def begin(self, *runtimes: Runtime) -> None:
        """Write settings.toml, unless the run is resumed. The runtimes, if any, are loaded."""
        path = self.config.out / SETTINGS
        machine = machine_tables(runtimes[0]) if runtimes else {}
        if runtimes and self.config.command:
            text = f"model     {runtimes[0].settings.model} on {machine['machine']['device']}"
            self._console.print(text, soft_wrap=True, markup=False)
        if self.resumes:
            check_commit(self.config.out, machine)
        if not self.resumes:
            write_whole(path, as_toml({**self.tables, **machine}))
        elif EXTENT in self.tables:
            write_whole(path, as_toml({**read_settings(self.config.out), EXTENT: self.tables[EXTENT]}))
        if EXTENT in self.tables:
            (self.config.out / FINISHED).unlink(missing_ok=True)

    def finish(self, failed: int = 0) -> None:
        """Mark the run as finished, unless there were infrastructure failures, which another start tries again."""
        if not failed:
            write_whole(self.config.out / FINISHED, "")
            return
        (self.config.out / FINISHED).unlink(missing_ok=True)
        if self.config.command:
            text = f"failed    {plural(failed, 'infrastructure failure')}; to try again: {resume_command(self.config)}"
            self._console.print(text, style="yellow", soft_wrap=True, markup=False)


@contextmanager
def open_run(
    config: ExperimentConfig,
    run: Mapping[str, Any],
    console: Console,
    options: Options | Mapping[str, Any] | None = None,
    extent: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Iterator[OpenRun]:
    """Open the run folder of an experiment.

    If `config` does not name the folder, it is the newest unfinished one beside it with the same settings that no other
    process works in, or else a new one. What stops the run says how to resume it; a run that ends with an error before it
    has any result leaves nothing behind.

    Args:
        config: The experiment.
        run: The command and its settings.
        console: Where it is said that a run is resumed.
        options: Of the agent.
        extent: Settings of the command by which a finished run may be extended.
        **settings: Settings of the environment that the command changes.

    Raises:
        SettingError: For settings that are not legal, and a folder that cannot be made.
        RunFolderError: If the folder is of another run, or another process works in it.
        StorageError: If it cannot be written to.
    """

    def tables() -> dict[str, dict[str, Any]]:
        found = deciding_tables(run, config.settings(**settings), options)
        return found if extent is None else {**found, EXTENT: dict(extent)}

    if HALF_CHARACTER.search(str(config.out)):
        raise SettingError("out", str(config.out), "a name in UTF-8")
    wanted = tables()
    made: list[Path] = []
    opened: OpenRun | None = None
    with ExitStack() as stack:
        try:
            config = _locate(config, wanted, stack, made)
            opened = OpenRun(config, tables(), console)
            if config.command and not (config.out / FINISHED).exists():
                console.print(f"{'resuming' if opened.resumes else 'folder  '}  {config.out}", soft_wrap=True, markup=False)
            yield opened
            if config.command and not config.named and isinstance(console, Terminal) and console.quiet:
                console.insist(str(config.out))
        except BaseException as error:
            if not _keep(config, made, opened):
                tidy(config.out, made)
            found = _explained(config, error)
            if found is error:
                raise
            raise found from error


def _keep(config: ExperimentConfig, made: Sequence[Path], opened: OpenRun | None) -> bool:
    """Whether the folder of a run that was stopped holds anything, or is not this run's."""
    if opened is None:
        return config.out not in made
    return has_results(config.out) or has_cache(config.out)


def _explained(config: ExperimentConfig, error: BaseException) -> BaseException:
    """The error with a note on how the run is resumed; a StorageError if a disk could not be written to."""
    problem = None if isinstance(error, SealError) else storage_problem(error)
    if problem is not None:
        where = getattr(error, "filename", None) or config.out
        error = StorageError(f"{str(where)!r}: {problem}")
    mistake = isinstance(error, SealError) and not isinstance(error, StorageError)
    resumable = os.path.isdir(config.out) or not mistake
    if config.command and resumable and not isinstance(error, RunFolderError):
        error.add_note(f"to resume: {resume_command(config)}")
    return error


def resume_command(config: ExperimentConfig) -> str:
    """The command line that resumes a run, quoted for a shell, without secrets."""
    named = () if config.named else ("--out", str(config.out))
    safe = (redacted_message(each) if "://" in each else str(redacted(each)) for each in config.command)
    return shlex.join((*safe, *named))


def _locate(
    config: ExperimentConfig, tables: Mapping[str, Mapping[str, Any]], stack: ExitStack, made: list[Path]
) -> ExperimentConfig:
    """The experiment with the folder to work in, held until `stack` is closed. Folders that are made go to `made`."""
    if config.named:
        refuse_foreign(config.out)
        _make(config.out, made)
        stack.enter_context(hold(config.out))
        return config
    for path in _unfinished(config.out.parent, tables):
        try:
            stack.enter_context(hold(path))
        except (FolderInUseError, StorageError):
            continue
        if not (path / FINISHED).exists():
            return replace(config, out=path)
    paths = (config.out if number == 1 else config.out.with_name(f"{config.out.name}-{number}") for number in count(1))
    path = next(path for path in paths if _make(path, made, shared=False))
    try:
        stack.enter_context(hold(path))
    except StorageError:
        tidy(path, made)
        raise
    return replace(config, out=path)


def _make(path: Path, made: list[Path], shared: bool = True) -> bool:
    """Make a folder and its parents, and add those that were missing to `made`.

    Args:
        path: The folder.
        made: The deepest folders first.
        shared: Whether the folder may be there already.

    Returns:
        False if it may not and is.

    Raises:
        SettingError: If it cannot be made.
    """
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not shared and os.path.lexists(path):
            return False
        with suppress(FileExistsError):
            path.mkdir()
            made += missing
            return True
    except OSError as error:
        tidy(path, missing)
        raise SettingError("out", str(path), f"a folder that can be made: {error.strerror}") from error
    return shared


def _unfinished(parent: Path, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
    """Folders of unfinished runs with these settings, the newest first."""
    found = [path.parent for path in parent.glob(f"*/{SETTINGS}") if not (path.parent / FINISHED).exists()]
    for path in sorted(found, key=lambda each: (each / SETTINGS).stat().st_mtime, reverse=True):
        try:
            if first_difference(read_settings(path), tables, (*DECIDING, EXTENT)) is None:
                yield path
        except RunFolderError:
            continue


def _check_same(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether to resume what is in a folder; False if it has no results and may be begun anew.

    Raises:
        RunFolderError: If another run began in the folder; names the setting that differs.
    """
    try:
        different = first_difference(read_settings(path), tables)
    except RunFolderError:
        if has_results(path):
            raise
        return False
    if different is None:
        return True
    if has_results(path):
        field, then, now = different
        if field == "command":
            then, now = then or "run", now or "run"
        raise RunFolderError(
            f"out={str(path)!r} was begun with {field}={then!r}, not {now!r}: "
            f"name another folder, or resume with the same settings"
        )
    return False


def new_path(name: str, parent: Path = Path("runs")) -> Path:
    """A proposal for a run folder: DATE-TIME-NAME below `runs`."""
    return parent / f"{datetime.now():%Y%m%d-%H%M%S}-{name.replace(':', '-').replace(os.sep, '-')}"
