"""`seal-env report`: runs as one HTML page, which is written again while they go on if that is asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import seal_env
from seal_env.errors import RunFolderError, SealError, SettingError
from seal_env.experiments.compare import settings_that_differ
from seal_env.experiments.folder_lock import LOCK
from seal_env.experiments.report_cards import Cards
from seal_env.experiments.report_choices import choice_charts, diversity
from seal_env.experiments.report_figures import (
    cost_table,
    curves,
    difference_table,
    reproduction_tables,
    retention,
    summary_table,
    task_lines,
)
from seal_env.experiments.report_runs import Reported, is_finished, read_runs
from seal_env.experiments.run_folder import SETTINGS, Tables, files_below
from seal_env.journal import write_whole
from seal_env.report.formats import DASH
from seal_env.report.page.content import Page, Rows, Run
from seal_env.report.page.render import MARK, render

FILE: Final = "report.html"
CARDS: Final = 200
"""Whole episodes of a page by default."""
SECONDS: Final = 5
"""Between two versions of a page that is watched."""


def report(folders: Sequence[Path], out: Path, cards: int = CARDS) -> None:
    """Write runs as an HTML page.

    Args:
        folders: Of any command that writes run folders.
        out: The page. A report that is there is written anew.
        cards: Episodes of all runs together that are shown with tasks, answers and self-edits; others are a line each.

    Raises:
        RunFolderError: If there is nothing to show, or it cannot be read.
        SettingError: If the same folder is given twice, or `out` is another file.
        MissingExtraError: If the extra `report` is not installed.
        StorageError: If the page cannot be written.
    """
    _check(folders, out)
    write_whole(out, _html(read_runs(folders), Cards(cards)))


def watch(folders: Sequence[Path], out: Path, cards: int, tell: Callable[[str], object], seconds: float = SECONDS) -> None:
    """Write the page again and again until no run has anything left to do; see `report`.

    Args:
        folders: As there. Runs that have no episode yet are waited for.
        out: As there.
        cards: As there.
        tell: Called with what happens, in words.
        seconds: Between two versions.
    """
    _check(folders, out)
    made = Cards(cards)
    before: object = None
    while True:
        finished = all(map(is_finished, folders))
        now = _state(folders)
        if now != before:
            written = _try_to_write(folders, out, made, 0 if finished else max(1, round(seconds)))
            tell(f"{out} is up to date; Ctrl-C to stop" if written else "waiting for the first episode")
            before = now
        if finished:
            return
        time.sleep(seconds)


def _try_to_write(folders: Sequence[Path], out: Path, cards: Cards, seconds: int) -> bool:
    try:
        reported = read_runs(folders)
    except RunFolderError as error:
        if not seconds or not (_may_come(error) or any(map(_is_begun, folders))):
            raise
        return False
    write_whole(out, _html(reported, cards, seconds))
    return True


def _html(reported: Reported, cards: Cards, refresh: int = 0) -> str:
    try:
        return render(page_of(reported, cards, refresh))
    except SealError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        names = ", ".join(repr(str(folder)) for folder in reported.folders)
        reason = f"{type(error).__name__}: {error}"
        raise RunFolderError(f"records in {names} are not as seal-env writes them ({reason})") from error


def _may_come(error: RunFolderError) -> bool:
    """Whether what is missing may be there later."""
    return "no finished episodes" in str(error) or " yet: " in str(error)


def _is_begun(folder: Path) -> bool:
    """Whether a run has the folder and has not written its settings yet."""
    return (folder / LOCK).exists() and not (folder / SETTINGS).exists()


def _state(folders: Sequence[Path]) -> list[tuple[str, int, int]]:
    """What changes when a run goes on: sizes and times of its journals and results."""
    found = []
    for path in (path for folder in folders for path in files_below(folder) if path.suffix in (".jsonl", ".json")):
        with suppress(OSError):
            state = path.stat()
            found.append((str(path), state.st_size, state.st_mtime_ns))
    return found


def _check(folders: Sequence[Path], out: Path) -> None:
    resolved = [folder.resolve() for folder in folders]
    for number, folder in enumerate(folders):
        if resolved.index(resolved[number]) < number:
            raise SettingError("RUN", str(folder), "each folder once")
    if os.path.lexists(out) and not _is_report(out):
        raise SettingError("out", str(out), "a new file, or a report to write anew")


def _is_report(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return MARK in file.read(1000)
    except (OSError, ValueError):
        return False


def page_of(reported: Reported, cards: Cards, refresh: int = 0) -> Page:
    """The page of these runs. refresh: seconds until a browser loads it again; 0 is never."""
    runs = reported.runs
    tables = {"Summary": summary_table(runs), **reproduction_tables(reported), "Differences": difference_table(runs)}
    more = {"Diversity of self-edits": diversity(runs), "Cost": cost_table(runs)}
    tasks, left_out = task_lines(runs)
    drawn, episodes = cards.of(runs)
    choices, choices_left_out = choice_charts(runs)
    return Page(
        title=f"seal-env report: {', '.join(folder.name for folder in reported.folders)}",
        runs=_heads(reported),
        version=seal_env.__version__,
        different=_different(reported),
        tables=_known(tables),
        more_tables=_known(more),
        curves=curves(runs),
        choices=choices,
        choices_left_out=choices_left_out,
        tasks=tasks,
        tasks_left_out=left_out,
        matrices=retention(reported),
        cards=drawn,
        episodes=episodes,
        refresh=refresh,
    )


def _known(tables: Mapping[str, Rows | None]) -> dict[str, Rows]:
    """The tables that there are."""
    return {heading: rows for heading, rows in tables.items() if rows is not None}


def _heads(reported: Reported) -> list[Run]:
    """The runs with episodes, in the order of their colours, and then results without."""
    shown = [(run.name, run.results.folder, run.results.tables) for run in reported.runs]
    shown += [(folder.name, folder, reported.folders[folder]) for folder in reported.results]
    return [Run(name, str(folder), _line(tables), is_finished(folder), _settings(tables)) for name, folder, tables in shown]


def _line(tables: Tables) -> str:
    run, environment = tables["run"], tables["environment"]
    about = (run.get("environment"), run.get("agent"), environment.get("subset"), environment.get("model"))
    seed = f"seed {run['seed']}" if "seed" in run else None
    parts = (f"seal-env {run.get('command', 'run')}", *about, seed, environment.get("device"))
    return ", ".join(str(each) for each in parts if each is not None)


def _settings(tables: Tables) -> dict[str, str]:
    return {f"{table}.{name}": _value(value) for table, each in tables.items() for name, value in each.items()}


def _different(reported: Reported) -> Rows | None:
    if len(reported.runs) < 2:
        return None
    found = settings_that_differ([run.results.tables for run in reported.runs])
    rows = [[name, *map(_value, values)] for name, values in found.items()]
    return Rows(("setting", *(run.name for run in reported.runs)), rows) if rows else None


def _value(value: Any) -> str:
    return DASH if value is None else str(value)
