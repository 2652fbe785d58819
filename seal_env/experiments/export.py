"""`seal-env export`: the self-edits of run folders as one flat table, and their results as LaTeX."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from seal_env.agents.evaluation import summary
from seal_env.errors import SettingError, needs_extra
from seal_env.experiments.results import Results, read_results
from seal_env.intervals import Interval
from seal_env.journal import finite, storage_errors, write_folder, write_whole
from seal_env.printable import printable
from seal_env.report.comparison_table import SHARES
from seal_env.report.formats import DASH, metric_cell, metric_heading, metric_names, percent

FORMATS: Final = ("csv", "parquet", "latex", "dataset")
TEXTS: Final = ("csv", "latex")
"""Formats that can go to standard output."""

Row = dict[str, Any]


def export(folders: Sequence[Path], to: str, out: Path | None = None) -> str:
    """Write the self-edits of run folders as a table, a row for each, or as LaTeX their results, a row for each run.

    Args:
        folders: Of `run`, `eval` or `train`.
        to: `csv`, `parquet`, `dataset` (a folder for `datasets.load_from_disk`) or `latex`.
        out: A new file or folder; None returns the text of `csv` and `latex`.

    Returns:
        The text; empty if it was written.

    Raises:
        SettingError: For an unknown format, and a file that exists or is missing.
        RunFolderError: For folders without episodes that can be read.
        MissingExtraError: If the extra `export` is not installed, for all formats but `csv`.
        StorageError: If the file cannot be written.
    """
    if to not in FORMATS:
        raise SettingError("to", to, " or ".join(map(repr, FORMATS)))
    if out is None and to not in TEXTS:
        raise SettingError("out", None, f"the name of a new {'folder' if to == 'dataset' else 'file'}: to={to!r} is no text")
    if out is not None and os.path.lexists(out):
        raise SettingError("out", str(out), "a file or folder that does not exist yet")
    runs = [read_results(folder) for folder in folders]
    if to in TEXTS:
        text = as_csv(rows_of(runs)) if to == "csv" else as_latex(runs)
        if out is None:
            return text
        write_whole(out, text)
    elif out is not None:
        write_table(rows_of(runs), to, out)
    return ""


def rows_of(runs: Sequence[Results]) -> list[Row]:
    """A row for each self-edit, all with the same columns; None for what is not known.

    Actions and answers are JSON texts; control characters in other texts are written as codes.
    """
    metrics = dict.fromkeys(
        name for run in runs for samples in run.journals.values() for each in samples for name in each.metrics
    )
    rows = []
    for run in runs:
        for journal, samples in run.journals.items():
            for sample in samples:
                row: Row = {
                    "run": str(run.folder),
                    "agent": run.label,
                    "journal": journal,
                    "task_id": sample.task_id,
                    "number": sample.number,
                    "outcome": sample.outcome,
                    "reason": sample.reason,
                    "reward": sample.reward,
                    "accuracy_before": sample.accuracy_before,
                    "accuracy": sample.accuracy,
                    **{name: sample.metrics.get(name) for name in metrics},
                    "steps": sample.steps,
                    "tokens": sample.tokens,
                    "seconds": sample.seconds,
                    "actions": json.dumps(sample.actions),
                }
                for when in ("predictions_before", "predictions_after"):
                    row[when] = json.dumps(sample.answers[when]) if when in sample.answers else None
                rows.append(
                    {name: printable(value) if isinstance(value, str) else value for name, value in finite(row).items()}
                )
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV, with a line of headings."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_latex(runs: Sequence[Results]) -> str:
    """The results as a table for the LaTeX package booktabs: per cent with 95 % bootstrap intervals over tasks.

    Raises:
        MissingExtraError: If pandas is not installed.
    """
    with needs_extra("export"):
        import pandas
    reports = {printable(str(run.folder)): (printable(run.label), summary(run.final)) for run in runs}
    names = metric_names(report for _, report in reports.values())
    rows = []
    for folder, (label, report) in reports.items():
        row = {"run": folder, "agent": label, "tasks": str(report["tasks"]), "self-edits": str(report["samples"])}
        row |= {f"{metric_heading(name)} (%)": percent(report.get(name)) for name in SHARES}
        row |= {metric_heading(name): metric_cell(report.get("metrics", {}).get(name)) for name in names}
        rows.append(row | {"reward": _reward(report.get("reward"))})
    return str(pandas.DataFrame(rows).to_latex(index=False, escape=True))


def _reward(interval: Mapping[str, Any] | None) -> str:
    return DASH if interval is None else Interval(**interval).text()


def write_table(rows: Sequence[Row], to: str, out: Path) -> None:
    """Write rows as `parquet` or `dataset`. Raises MissingExtraError if datasets is not installed, and StorageError."""
    with needs_extra("export"):
        import datasets

    table = datasets.Dataset.from_list(list(rows))
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        if to == "dataset":
            write_folder(out, lambda folder: table.save_to_disk(str(folder)))
            return
        new = out.with_name(f"{out.name}.new")
        with storage_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            try:
                table.to_parquet(str(new))
                os.replace(new, out)
            finally:
                new.unlink(missing_ok=True)
    finally:
        if shown:
            datasets.enable_progress_bars()
