"""Tables and charts of a report: what runs came to, how they differ, and how they went."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from seal_env.agents.evaluation import EvalSample, by_task, summary
from seal_env.experiments.compare import MEASURES, compare_results, means_by_task
from seal_env.experiments.report_runs import Reported, ReportedRun, training_log
from seal_env.report.comparison_table import SHARES, interval_cell
from seal_env.report.formats import DASH, duration, has_interval, metric_heading, percent, plural
from seal_env.report.page.charts import Chart, Line, Point, thinned
from seal_env.report.page.content import Rows, TaskLine

MOST_POINTS: Final = 200
MOST_TASKS: Final = 60
Matrix = Sequence[Sequence[float | None]]


def summary_table(runs: Sequence[ReportedRun]) -> Rows | None:
    """A row for each run: means over tasks with intervals; None without a run."""
    reports = {run.name: summary(run.results.final) for run in runs}
    shares = {name: f"{name.replace('_', ' ')}, %" for name in SHARES}
    names = list(dict.fromkeys(name for report in reports.values() for name in report.get("metrics", {})))
    most = max((int(k) for report in reports.values() for k in report.get("pass_at", {})), default=1)
    rows = []
    for run in runs:
        report = reports[run.name]
        failed = f" ({report['failed']} failed)" if report["failed"] else ""
        rows.append(
            [
                f"{run.name}: {run.results.label}",
                f"{report['tasks']:,}",
                f"{report['samples']:,}{failed}",
                *(percent(report.get(name)) for name in shares),
                percent(report.get("pass_at", {}).get(str(most))),
                *(interval_cell(name, report.get("metrics", {}).get(name)) for name in names),
                interval_cell("reward", report.get("reward")),
            ]
        )
    headings = ("run", "tasks", "self-edits", *shares.values(), f"pass@{most}, %", *map(metric_heading, names), "reward")
    intervals = " with 95 % intervals" if has_interval(reports) else ""
    return Rows(headings, rows, f"Means over tasks{intervals}.") if rows else None


def difference_table(runs: Sequence[ReportedRun]) -> Rows | None:
    """A row for each run but the first: how far it is above that one, paired by task; None for a single run."""
    found = {run.name: compare_results(runs[0].results, run.results) for run in runs[1:]}
    names = list(dict.fromkeys(name for each in found.values() for name in each["measures"]))
    rows = []
    for name, each in found.items():
        cells = (interval_cell(measure, each["measures"].get(measure, {}).get("difference")) for measure in names)
        seeds = "same" if each["same_seeds"] else "other"
        rows.append([f"{name} - {runs[0].name}", f"{each['tasks']['both']:,}", seeds, *cells])
    differences = [measure["difference"] for each in found.values() for measure in each["measures"].values()]
    intervals = " An interval without 0 is a difference." if has_interval(differences) else ""
    note = f"Paired by task, over the tasks of both; shares in percentage points.{intervals}"
    headings = ("difference", "tasks", "seeds", *map(metric_heading, names))
    return Rows(headings, rows, note) if rows else None


def reproduction_tables(reported: Reported) -> dict[str, Rows]:
    """The tables of `reproduce`, by heading."""
    found = {}
    for folder, result in reported.results.items():
        rows = result.get("rows", {})
        columns = list(dict.fromkeys(name for row in rows.values() for name, each in row.items() if _is_interval(each)))
        cells = [
            [str(row.get("label", name)), *(percent(row[each]) if _is_interval(row.get(each)) else DASH for each in columns)]
            for name, row in rows.items()
        ]
        note = f"Means{' with 95 % intervals' if has_interval(rows) else ''}, in per cent."
        found[f"Result of {folder.name}"] = Rows(("", *(each.replace("_", " ") for each in columns)), cells, note)
    return found


def _is_interval(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"mean", "low", "high"}


def curves(runs: Sequence[ReportedRun]) -> list[Chart]:
    """Accuracy on held-out tasks by round of policies that are trained, running accuracy of others, rewards in training."""
    rounds, running, steps = [], [], []
    for number, run in enumerate(runs):
        if run.held_out:
            rounds.append(Line(run.name, tuple(_rounds(run.held_out)), number))
        else:
            after = _running([sample.accuracy for sample in run.results.final])
            before = _running([sample.accuracy_before for sample in run.results.final])
            running += [Line(f"{run.name}, updated model", after, number)] if after else []
            running += [Line(f"{run.name}, base model", before, number, dashed=True)] if before else []
        log = [
            (each["step"], each["reward"]) for each in training_log(run.results.folder) if {"step", "reward"} <= set(each)
        ]
        points = [Point(float(step), float(reward)) for step, reward in log if _is_number(step) and _is_number(reward)]
        steps += [Line(run.name, thinned(points, MOST_POINTS), number)] if points else []
    charts = [
        Chart("Accuracy on held-out tasks", "round", "accuracy, %", tuple(rounds), share=True),
        Chart("Running mean of accuracy", "self-edit", "accuracy, %", tuple(running), share=True),
        Chart("Mean reward in training", "optimizer step", "reward", tuple(steps)),
    ]
    return [chart for chart in charts if chart.lines]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _rounds(held_out: Mapping[int, Sequence[EvalSample]]) -> Iterator[Point]:
    for number, samples in held_out.items():
        accuracy = summary(samples).get("accuracy")
        if accuracy is not None:
            yield Point(float(number), *(accuracy[name] for name in ("mean", "low", "high")))


def _running(values: Sequence[float]) -> tuple[Point, ...]:
    known = [(index, value) for index, value in enumerate(values, 1) if not math.isnan(value)]
    sums = accumulate(value for _, value in known)
    points = [
        Point(float(index), total / count) for count, ((index, _), total) in enumerate(zip(known, sums, strict=True), 1)
    ]
    return thinned(points, MOST_POINTS)


def task_lines(runs: Sequence[ReportedRun]) -> tuple[list[TaskLine], int]:
    """Accuracy before and after by task, the largest changes first, and how many tasks are left out."""
    tasks = [by_task(run.results.final) for run in runs]
    before: dict[str, float] = {}
    for each in reversed(tasks):
        before |= means_by_task(each, MEASURES["accuracy_before"])
    after = [means_by_task(each, MEASURES["accuracy"]) for each in tasks]
    names = dict.fromkeys(name for each in after for name in each)
    lines = [
        TaskLine(name, before.get(name), {number: each[name] for number, each in enumerate(after) if name in each})
        for name in names
    ]
    lines.sort(key=lambda line: -abs(line.change))
    return lines[:MOST_TASKS], max(0, len(lines) - MOST_TASKS)


def cost_table(runs: Sequence[ReportedRun]) -> Rows | None:
    """A row for each run: what all its self-edits took; None without a run."""
    phases = dict.fromkeys(name for run in runs for record in run.records for name in record["timings"])
    rows = []
    for run in runs:
        samples = [sample for _, sample in run.episodes]
        spent = Counter[str]()
        for record in run.records:
            spent.update(record["timings"])
        took = sum(sample.seconds for sample in samples)
        rows.append(
            [
                run.name,
                plural(len(samples), "self-edit"),
                duration(took),
                *(f"{spent[name]:.1f}" if run.records else DASH for name in phases),
                f"{sum(sample.tokens for sample in samples):,}",
                f"{sum(sample.steps for sample in samples):,}",
            ]
        )
    words = (f"{name.removesuffix('_seconds')}, s" for name in phases)
    headings = ("run", "made", "time", *words, "tokens of examples", "optimizer steps")
    return Rows(headings, rows, "Sums over all self-edits, with those of training.") if rows else None


def retention(reported: Reported) -> dict[str, Matrix]:
    """The mean retention matrix of each run on sequences of tasks, by title."""
    found: dict[str, Matrix] = {}
    for run in reported.runs:
        matrices = [matrix for record in run.records if (matrix := matrix_of(record.get("retention")))]
        if matrices:
            shape = Counter((len(each), len(each[0])) for each in matrices).most_common(1)[0][0]
            whole = [each for each in matrices if (len(each), len(each[0])) == shape]
            found[f"{run.name}: {run.results.label}, mean of {plural(len(whole), 'sequence')}"] = _mean(whole)
    for folder, result in reported.results.items():
        for name, row in result.get("rows", {}).items():
            if matrix := matrix_of(row.get("retention")):
                found[f"{folder.name}: {name}, mean of {plural(int(row['sequences']), 'sequence')}"] = matrix
    return found


def _mean(matrices: Sequence[Matrix]) -> Matrix:
    rows = [zip(*same_row, strict=True) for same_row in zip(*matrices, strict=True)]
    known = [[[score for score in cell if score is not None] for cell in row] for row in rows]
    return [[sum(cell) / len(cell) if cell else None for cell in row] for row in known]


def matrix_of(found: Any) -> Matrix:
    """A matrix of scores from a record; empty if it is none."""
    rows = found if isinstance(found, list) and all(isinstance(row, list) and row for row in found) else []
    checked = [[float(score) if _is_number(score) else None for score in row] for row in rows]
    return checked if checked and all(len(row) == len(checked[0]) for row in checked) else []
