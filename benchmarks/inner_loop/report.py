"""Figures of the measured rows: ratios, share of the peak, agreement of rewards; as JSON and as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from rich.table import Table

from benchmarks.inner_loop.jobs import Case
from benchmarks.inner_loop.measure import Row, rewards

HOUR, MIB = 3600.0, 2**20
Report = dict[str, Any]


def row_reports(rows: Sequence[Row], cases: Sequence[Case], peak: float) -> list[Report]:
    """One report for each row. peak: FLOP/s of the machine's matrix product."""
    by_name = {row.spec.name: row for row in rows if not row.missing}
    seconds: dict[int, float] = {}
    if "R0" in by_name:
        seconds = {number: took for turn in by_name["R0"].turns for number, took in zip(turn.cases, turn.calls, strict=True)}
    reports = [_row_report(row, cases, peak, seconds) for row in rows]
    others = [report for row, report in zip(rows, reports, strict=True) if not row.spec.ours and "ratio_to_R0" in report]
    for row, report in zip(rows, reports, strict=True):
        rivals = [other["ratio_to_R0"] for other in others if other is not report]
        if rivals and "ratio_to_R0" in report:
            report["ratio_to_best_other"] = report["ratio_to_R0"] / max(rivals)
        if "R1" in by_name and not row.missing and not row.spec.pad_loss and row is not by_name["R1"]:
            report["agreement_with_R1"] = agreement(row, by_name["R1"], cases)
    return reports


def agreement(row: Row, other: Row, cases: Sequence[Case]) -> Report:
    """For how many self-edits two rows give the same reward, and the largest difference between losses of one step."""
    mine, theirs = rewards(row, cases), rewards(other, cases)
    pairs = [zip(row.results[number].losses_S, other.results[number].losses_S, strict=False) for number in mine]
    apart = [abs(a - b) for pair in pairs for a, b in pair if math.isfinite(a) and math.isfinite(b)]
    same = sum(mine[number] == theirs[number] for number in mine)
    return {"same": same, "of": len(mine), "largest_loss_difference": max(apart, default=None)}


def _row_report(row: Row, cases: Sequence[Case], peak: float, published: Mapping[int, float]) -> Report:
    """published: R0's seconds by number of the case; empty if it was not measured."""
    if row.missing:
        return {"name": row.spec.name, "self_edits_per_hour": None, "missing": row.missing}
    trained = [cases[number] for turn in row.turns for number in turn.cases]
    seconds = sum(turn.seconds for turn in row.turns)
    train, evaluate = (
        [result.timings[name] for result in row.results.values() if name in result.timings]
        for name in ("train_seconds", "evaluate_seconds")
    )
    flops = sum(case.flops for case in trained)
    timed = not row.spec.parallel and bool(train)  # the seconds of its jobs add up to the row's
    report: Report = {
        "name": row.spec.name,
        "self_edits_per_hour": HOUR * len(trained) / seconds,
        "self_edits": len(trained),
        "seconds": seconds,
        "rounds": [HOUR * len(turn.cases) / turn.seconds for turn in row.turns],
        "tokens_per_second": sum(case.tokens for case in trained) / seconds,
        "share_of_peak": flops / seconds / peak,
        "share_of_peak_in_training": flops / sum(train) / peak if timed else None,
        "train_seconds": mean(train) if timed else None,
        "evaluate_seconds": mean(evaluate) if timed else None,
        "peak_memory_bytes": row.peak,
        "processes": row.processes,
        "threads": row.order.threads,
        "outcomes": dict(Counter(str(result.outcome) for result in row.results.values())),
        "mean_reward": mean(rewards(row, cases).values()),
    }
    if published:
        ratios = [sum(published[number] for number in turn.cases) / turn.seconds for turn in row.turns]
        report["ratio_to_R0"] = sum(published[number] for turn in row.turns for number in turn.cases) / seconds
        report["ratio_to_R0_rounds"] = {"median": median(ratios), "min": min(ratios), "max": max(ratios)}
    return report


def table_of(document: Mapping[str, Any]) -> Table:
    """The rows of a document as a table."""
    reports: Sequence[Report] = document["rows"]
    reasons = [f"{report['name']} is missing: {report['missing']}" for report in reports if "missing" in report]
    title = (
        f"preset {document['preset']}: {document['self_edits']} self-edits, {document['tokens_per_self_edit']:,.0f} real "
        f"tokens each; best matrix product {document['matmul_peak_flops'] / 1e9:,.0f} GFLOP/s"
    )
    table = Table(
        "row", "self-edits/h", "x R0", "median, range", "x best other", "tokens/s", "% of peak", "MiB", "train/eval s",
        "rewards as R1", title=title, caption="\n".join(reasons), caption_justify="left",
    )  # fmt: skip
    for report in reports:
        if "missing" in report:
            table.add_row(report["name"], "missing")
            continue
        rounds, agreed = report.get("ratio_to_R0_rounds"), report.get("agreement_with_R1")
        table.add_row(
            report["name"],
            f"{report['self_edits_per_hour']:,.0f}",
            _number(report.get("ratio_to_R0"), ".2f"),
            "{median:.2f}, {min:.2f}-{max:.2f}".format(**rounds) if rounds else "",
            _number(report.get("ratio_to_best_other"), ".2f"),
            f"{report['tokens_per_second']:,.0f}",
            _number(report["share_of_peak"], ".1%"),
            f"{report['peak_memory_bytes'] / MIB:,.0f}",
            "/".join(_number(report[name], ".1f") for name in ("train_seconds", "evaluate_seconds")).strip("/"),
            f"{agreed['same']} of {agreed['of']}" if agreed else "",
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
