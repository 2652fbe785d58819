"""Tables of what agents are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from seal_env.intervals import Interval

DASH = "-"
REPRODUCED = {
    "none": "no update",
    "passage": "passage alone",
    "untrained": "self-edits, untrained policy",
    "grpo": "self-edits after GRPO",
    "rest-em": "self-edits after ReST-EM",
    "search": "search for each task (oracle)",
}


def plain(*columns: str, title: str = "") -> Table:
    """A table with its first column on the left and numbers in the others."""
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def percent(found: Mapping[str, float] | None) -> str:
    """`58 [52, 65]`, or a dash."""
    return DASH if found is None else Interval(**found).percent()


def evaluation_table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each agent: per cent, 95 % bootstrap intervals over tasks in brackets."""
    most = max((int(k) for report in reports.values() for k in report.get("pass_at", {})), default=1)
    table = plain("agent", "tasks", "self-edits", "accuracy", "solved", f"pass@{most}", "valid", "steps", "tokens", "s")
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
    """A row for each round: the policy on held-out tasks, and by how much it is above the untrained one, task by task."""
    table = plain("after round", "sampled", "kept", "held out: accuracy", "above untrained", "valid")
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
    """The policy on held-out tasks before and after training, and by how much it is above the untrained one."""
    table = plain("policy", "held out: accuracy", "above untrained", "valid")
    for name, held_out, gain in zip(("untrained", "trained"), result["held_out"], (None, result["gain"][1]), strict=True):
        table.add_row(name, percent(held_out.get("accuracy")), percent(gain), percent(held_out.get("valid")))
    return table


def reproduction_table(table: Mapping[str, Any]) -> Table:
    """One of the paper's tables. Intervals are over seeds and tasks; minutes are of all seeds, learning included."""
    shown = plain("", "held out: accuracy", "above untrained", "by seed", "minutes")
    for row, found in table["rows"].items():
        shown.add_row(
            REPRODUCED[row],
            percent(found["accuracy"]),
            percent(found["above_untrained"]),
            ", ".join(f"{100 * value:.0f}" for value in found["by_seed"]),
            f"{table['seconds'][row] / 60:.0f}" if row in table["seconds"] else DASH,
        )
    return shown
