"""What benchmarks/inner_loop.py says of its rows: ratios, share of the peak, agreement of rewards; as JSON, as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from inner_loop_jobs import Case, Entry, Preset
from inner_loop_run import Row, Turn, rewards, share_of
from rich.table import Table

from seal_env.types import UpdateResult

CHECKED = 8
HOUR = 3600.0
MIB = 2**20
Report = dict[str, Any]


class Published:
    """How long R0 takes for a self-edit, by case."""

    def __init__(self, row: Row) -> None:
        turns = row.turns
        self.seconds = {entry.case: took for turn in turns for entry, took in zip(turn.entries, turn.calls, strict=True)}
        self.evaluate = {entry.case: result.timings["evaluate_seconds"] for entry, result in row.results.items()}

    def of(self, entry: Entry) -> float:
        """Seconds. A self-edit that changes nothing is saved, loaded and asked all the same."""
        return self.evaluate[entry.case] if entry.no_op else self.seconds[entry.case]

    def ratio(self, turns: Sequence[Turn]) -> float:
        """R0's seconds for the self-edits of these turns, divided by the turns' own."""
        return sum(self.of(entry) for turn in turns for entry in turn.entries) / sum(turn.seconds for turn in turns)


def agreement(
    cases: Sequence[Case], row: Row, results: Mapping[Entry, UpdateResult], yardstick: Row | None
) -> Report | None:
    """Of how many self-edits the reward is the yardstick's, and by how much a step's loss is apart at the most."""
    if yardstick is None or yardstick.missing or not results or yardstick is row:
        return None
    mine, theirs = rewards(row, cases, results), rewards(yardstick, cases)
    pairs = [
        zip(result.losses_S, yardstick.results[Entry(entry.case)].losses_S, strict=False)
        for entry, result in results.items()
        if not entry.no_op
    ]
    apart = max((abs(a - b) for pair in pairs for a, b in pair if math.isfinite(a) and math.isfinite(b)), default=None)
    return {"same": sum(mine[case] == theirs[case] for case in mine), "of": len(mine), "largest_loss_difference": apart}


def check_published(rows: Sequence[Row], cases: Sequence[Case], preset: Preset) -> dict[str, Report | None]:
    """Our loops on the first cases under R0's recipe, which trains on padding, held against R0; this is not timed.

    Checked are the reference and the batched loop with the most jobs in a call. Where R0 pads to a fixed length there is
    nothing to hold against it: no loop of ours does.
    """
    published = next((row for row in rows if row.spec.published and not row.missing), None)
    batched = [row for row in rows if row.spec.loop == "batched" and not row.spec.cached and not row.missing]
    wanted = [*(row for row in rows if row.spec.loop == "reference"), *batched[-1:]]
    if published is None or preset.pad_to is not None:
        return {}
    checked = {}
    for row in wanted:
        entries = [Entry(number) for number in range(min(CHECKED, len(cases)))]
        results = row.run_aside(share_of(row, cases, preset, entries, published=True))
        checked[row.spec.name] = agreement(cases, row, results, published)
    return checked


def row_reports(rows: Sequence[Row], cases: Sequence[Case], peak: float, checked: Mapping[str, Any]) -> list[Report]:
    """One report for each row. peak: FLOP/s of the machine's matrix product. checked: see `check_published`."""
    by_name = {row.spec.name: row for row in rows if not row.missing}
    published = Published(by_name["R0"]) if "R0" in by_name else None
    reports = [_row_report(row, cases, peak, published) for row in rows]
    others = [report for row, report in zip(rows, reports, strict=True) if not row.spec.ours and not row.missing]
    for row, report in zip(rows, reports, strict=True):
        rivals = [other["ratio_to_R0"] for other in others if other is not report]
        if published is not None and rivals and not row.missing:
            report["ratio_to_best_other"] = report["ratio_to_R0"] / max(rivals)
        if not row.missing and not row.spec.published:
            report["agreement_with_R1"] = agreement(cases, row, row.results, by_name.get("R1"))
            report["agreement_with_R0"] = checked.get(row.spec.name)
    return reports


def _row_report(row: Row, cases: Sequence[Case], peak: float, published: Published | None) -> Report:
    if row.missing:
        return {"name": row.spec.name, "self_edits_per_hour": None, "missing": row.missing}
    entries = [entry for turn in row.turns for entry in turn.entries]
    seconds = sum(turn.seconds for turn in row.turns)
    trained = [cases[entry.case] for entry in entries if not entry.no_op]
    train, evaluate = (
        [result.timings[name] for result in row.results.values() if name in result.timings]
        for name in ("train_seconds", "evaluate_seconds")
    )
    flops = sum(case.flops for case in trained)
    timed = not row.spec.parallel and not row.spec.cached  # their jobs' seconds add up to the row's
    report: Report = {
        "name": row.spec.name,
        "self_edits_per_hour": HOUR * len(entries) / seconds,
        "self_edits": len(entries),
        "seconds": seconds,
        "rounds": [HOUR * len(turn.entries) / turn.seconds for turn in row.turns],
        "tokens_per_second": sum(case.tokens for case in trained) / seconds,
        "share_of_peak": None if row.spec.cached else flops / seconds / peak,
        "share_of_peak_in_training": flops / sum(train) / peak if timed and sum(train) else None,
        "train_seconds": mean(train) if timed and train else None,
        "evaluate_seconds": mean(evaluate) if timed and evaluate else None,
        "peak_memory_bytes": row.peak,
        "processes": row.processes,
        "threads": row.order.threads,
        "outcomes": dict(Counter(str(result.outcome) for result in row.results.values())),
        "mean_reward": mean(rewards(row, cases).values()),
    }
    if published is not None:
        ratios = [published.ratio([turn]) for turn in row.turns]
        report["ratio_to_R0"] = published.ratio(row.turns)
        report["ratio_to_R0_rounds"] = {"median": median(ratios), "least": min(ratios), "most": max(ratios)}
    if row.spec.cached:
        report["hit_rate"] = row.known / len(entries)
    return report


def table_of(reports: Sequence[Report], title: str) -> Table:
    """The reports as a table."""
    reasons = [f"{report['name']} is missing: {report['missing']}" for report in reports if "missing" in report]
    table = Table(
        "row", "self-edits/h", "x R0", "median, range", "x best other", "tokens/s", "% of peak", "MiB",
        "train/eval s", "rewards as R1", "as R0", title=title, caption="\n".join(reasons), caption_justify="left",
    )  # fmt: skip
    for report in reports:
        if "missing" in report:
            table.add_row(report["name"], "missing")
            continue
        rounds = report.get("ratio_to_R0_rounds")
        table.add_row(
            report["name"],
            f"{report['self_edits_per_hour']:,.0f}",
            _number(report.get("ratio_to_R0"), ".2f"),
            "{median:.2f}, {least:.2f}-{most:.2f}".format(**rounds) if rounds else "",
            _number(report.get("ratio_to_best_other"), ".2f"),
            f"{report['tokens_per_second']:,.0f}",
            _number(report["share_of_peak"], ".1%"),
            f"{report['peak_memory_bytes'] / MIB:,.0f}",
            "/".join(_number(report[name], ".1f") for name in ("train_seconds", "evaluate_seconds")).strip("/"),
            _agreed(report.get("agreement_with_R1")),
            _agreed(report.get("agreement_with_R0")),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _agreed(found: Report | None) -> str:
    return f"{found['same']} of {found['of']}" if found else ""
