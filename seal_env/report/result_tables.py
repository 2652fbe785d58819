"""Tables of results: evaluations, outer loops and reproductions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from seal_env.report.comparison_table import SHARES
from seal_env.report.formats import (
    DASH,
    IntervalCell,
    has_interval,
    metric_cell,
    metric_heading,
    metric_names,
    percent,
    plain_table,
)

CONTINUAL = {"before": "before", "new": "new task", "end": "all at the end", "forgetting": "forgetting", "merged": "merged"}
"""Measures of continual learning."""
COSTS = {"training_tokens": "training tokens", "optimizer_steps": "optimizer steps"}
"""What a sequence takes."""
UNCHANGED = "*"
"""Marks a round in which the policy learned nothing."""
GAIN = "above\nuntrained"
HELD_OUT = "held-out\naccuracy"


def _shares(*intervals: Mapping[str, Any] | None) -> list[IntervalCell]:
    """Cells in per cent."""
    return [IntervalCell(percent(interval)) for interval in intervals]


def _headings(names: Iterable[str]) -> list[str]:
    """Headings of further measures, a word a line."""
    return [metric_heading(name).replace(" ", "\n") for name in names]


def evaluation_table(report: Mapping[str, Any]) -> Table:
    """One evaluation, a row for each measure: percentages, with 95 % bootstrap intervals over tasks in brackets."""
    shares = {name: report.get(name) for name in SHARES}
    shares |= {f"pass@{k}": interval for k, interval in report.get("pass_at", {}).items()}
    brackets = " [95 %]" if has_interval(shares) else ""
    table = plain_table(str(report["agent"]), f"mean over tasks{brackets}")
    rows = {f"{metric_heading(name)}, %": percent(interval) for name, interval in shares.items()}
    rows |= {metric_heading(name): metric_cell(interval) for name, interval in report.get("metrics", {}).items()}
    rows |= {f"{name} per self-edit": f"{mean:,.2f}" for name, mean in report.get("cost", {}).items()}
    counts = {"tasks": report["tasks"], "self-edits": report["samples"], "infrastructure failures": report["failed"]}
    for name, cell in {**rows, **{name: str(count) for name, count in counts.items()}}.items():
        table.add_row(name, cell)
    return table


def _metrics(report: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [metric_cell(report.get("metrics", {}).get(name)) for name in names]


def rest_em_table(result: Mapping[str, Any]) -> Table:
    """A row for each round, `none` before the first: the policy on held-out tasks, and its gain, paired by task.

    A round that selected nothing is marked, and a line below the table says what that means.
    """
    names = metric_names(result["held_out"])
    table = plain_table("after\nround", "sampled", "selected", HELD_OUT, *_headings(names), GAIN, "valid")
    table.columns[-2].min_width = len("[-100, -100]")
    rounds = [{}, *result["rounds"]]
    for number, (learned, held_out, gain) in enumerate(zip(rounds, result["held_out"], result["gain"], strict=True)):
        table.add_row(
            str(number) if number else "none",
            *_shares(learned["sampled"].get("accuracy") if learned else None),
            (str(learned["kept"]) if learned["kept"] else f"0{UNCHANGED}") if learned else DASH,
            *_shares(held_out.get("accuracy")),
            *_metrics(held_out, names),
            *_shares(gain if number else None, held_out.get("valid")),
        )
    if any(learned["kept"] == 0 for learned in result["rounds"]):
        table.caption = Text(f"{UNCHANGED} nothing to learn from: the policy stays as it is", "dim")
        table.caption_justify = "left"
    return table


def grpo_table(result: Mapping[str, Any]) -> Table:
    """The policy on held-out tasks before and after training, and its gain over the untrained policy."""
    names = metric_names(result["held_out"])
    table = plain_table("policy", HELD_OUT, *_headings(names), GAIN, "valid")
    for name, held_out, gain in zip(("untrained", "trained"), result["held_out"], (None, result["gain"][1]), strict=True):
        accuracy, above, valid = _shares(held_out.get("accuracy"), gain, held_out.get("valid"))
        table.add_row(name, accuracy, *_metrics(held_out, names), above, valid)
    return table


def reproduction_table(table: Mapping[str, Any]) -> Table:
    """One of the paper's tables. Intervals are over seeds and tasks; minutes are summed over seeds and include training."""
    names = metric_names(table["rows"].values())
    stepped = any(row.get("steps") is not None for row in table["rows"].values())
    shown = plain_table("", HELD_OUT, *_headings(names), GAIN, "by seed", *(["steps"] if stepped else []), "minutes")
    for row, found in table["rows"].items():
        shown.add_row(
            found["label"],
            *_shares(found["accuracy"]),
            *_metrics(found, names),
            *_shares(found["above_untrained"]),
            ", ".join(f"{100 * value:.0f}" for value in found["by_seed"]),
            *([DASH if found.get("steps") is None else f"{found['steps']:.0f}"] if stepped else []),
            f"{table['seconds'][row] / 60:.0f}" if row in table["seconds"] else DASH,
        )
    return shown


def continual_table(table: Mapping[str, Any], minutes: Mapping[str, float] | None = None) -> Table:
    """A column for each row of the table: percentages, with 95 % bootstrap intervals over sequences, and further measures.

    Args:
        table: See `seal_env.experiments.reproduce.continual`.
        minutes: Mean wall time of a sequence, by row.
    """
    reports = list(table["rows"].values())
    shown = plain_table("mean over sequences", *table["rows"])
    shown.add_row("sequences", *(str(each["sequences"]) for each in reports))
    for name, heading in CONTINUAL.items():
        shown.add_row(heading, *_shares(*(each.get(name) for each in reports)))
    for name in metric_names(reports):
        shown.add_row(metric_heading(name), *(cell for each in reports for cell in _metrics(each, [name])))
    for name, heading in COSTS.items():
        taken = [each.get("costs", {}).get(name) for each in reports]
        if any(each is not None for each in taken):
            shown.add_row(heading, *(DASH if each is None else f"{each:,.0f}" for each in taken))
    if minutes:
        shown.add_row("minutes", *(f"{minutes[name]:.1f}" if name in minutes else DASH for name in table["rows"]))
    return shown


def suite_table(entry: Mapping[str, Any], parts: Iterable[str]) -> Table:
    """An entry of the leaderboard, a row for each part of the suite: percentages with 95 % intervals, and what it cost."""
    shown = plain_table("part", "success", "gain", "valid", "updates", "minutes")
    for name in parts:
        if name in entry["not_applicable"]:
            shown.add_row(name, "does not apply")
        elif (row := entry["parts"].get(name)) is not None:
            minutes = f"{row['cost']['seconds'] / 60:.1f}"
            shares = _shares(row["success"], row["gain"], row["valid"])
            shown.add_row(name, *shares, str(row["cost"]["updates"]), minutes)
        else:
            shown.add_row(name, DASH)
    return shown
