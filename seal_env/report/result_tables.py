"""Tables of results: evaluations, outer loops and reproductions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from seal_env.report.formats import DASH, percent, plain_table

CONTINUAL = {"before": "before", "new": "new task", "end": "all at the end", "forgetting": "forgetting", "merged": "merged"}
"""Columns of the table of continual learning."""


def evaluation_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each agent: percentages, with 95 % bootstrap intervals over tasks in brackets."""
    most = max((int(k) for report in reports.values() for k in report.get("pass_at", {})), default=1)
    table = plain_table(
        "agent", "tasks", "self-edits", "accuracy", "solved", f"pass@{most}", "valid", "steps", "tokens", "s"
    )
    for name, report in reports.items():
        failed = f" ({report['failed']} failed)" if report["failed"] else ""
        cost = report.get("cost", {})
        table.add_row(
            name,
            str(report["tasks"]),
            f"{report['samples']}{failed}",
            *(percent(report.get(column)) for column in ("accuracy", "solved")),
            percent(report.get("pass_at", {}).get(str(most))),
            percent(report.get("valid")),
            *(
                f"{cost[column]:,.{digits}f}" if cost else DASH
                for column, digits in (("steps", 0), ("tokens", 0), ("seconds", 2))
            ),
        )
    return table


def rest_em_table(result: Mapping[str, Any]) -> Table:
    """A row for each round: the policy on held-out tasks, and its gain over the untrained policy, paired by task."""
    table = plain_table("after round", "sampled", "selected", "held out: accuracy", "above untrained", "valid")
    rounds = [{}, *result["rounds"]]
    for number, (learned, held_out, gain) in enumerate(zip(rounds, result["held_out"], result["gain"], strict=True)):
        table.add_row(
            str(number) if number else "untrained",
            percent(learned["sampled"].get("accuracy")) if learned else DASH,
            str(learned["kept"]) if learned else DASH,
            percent(held_out.get("accuracy")),
            percent(gain) if number else DASH,
            percent(held_out.get("valid")),
        )
    return table


def grpo_table(result: Mapping[str, Any]) -> Table:
    """The policy on held-out tasks before and after training, and its gain over the untrained policy."""
    table = plain_table("policy", "held out: accuracy", "above untrained", "valid")
    for name, held_out, gain in zip(("untrained", "trained"), result["held_out"], (None, result["gain"][1]), strict=True):
        table.add_row(name, percent(held_out.get("accuracy")), percent(gain), percent(held_out.get("valid")))
    return table


def reproduction_table(table: Mapping[str, Any]) -> Table:
    """One of the paper's tables. Intervals are over seeds and tasks; minutes are summed over seeds and include training."""
    shown = plain_table("", "held out: accuracy", "above untrained", "by seed", "minutes")
    for row, found in table["rows"].items():
        shown.add_row(
            found["label"],
            percent(found["accuracy"]),
            percent(found["above_untrained"]),
            ", ".join(f"{100 * value:.0f}" for value in found["by_seed"]),
            f"{table['seconds'][row] / 60:.0f}" if row in table["seconds"] else DASH,
        )
    return shown


def continual_table(table: Mapping[str, Any]) -> Table:
    """A row for each agent: percentages, with 95 % bootstrap intervals over sequences."""
    shown = plain_table("agent", "sequences", *CONTINUAL.values())
    for name, found in table["rows"].items():
        shown.add_row(name, str(found["sequences"]), *(percent(found.get(column)) for column in CONTINUAL))
    return shown
