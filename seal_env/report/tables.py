"""Tables and summaries of trajectories."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from seal_env.agents.base import Trajectory

SWITCHES = {"basic": "use_basic", "size": "use_size", "chain": "use_chain", "repeat": "use_repeat"}


def self_edit_short(calls: Sequence[Mapping[str, Any]]) -> str:
    """A self-edit in a few words: `basic+chain, output, 3.2e-04, 2 epochs`."""
    words = []
    for call in calls:
        arguments = call["arguments"]
        if call["name"] == "augment":
            used = [name for name, field in SWITCHES.items() if arguments.get(f"{field}_augmentations")]
            words.append("+".join(used) or "plain")
        elif call["name"] == "training":
            tokens = "output" if arguments["strategy"] == "train_using_output_tokens" else "all"
            words.append(f"{tokens}, {arguments['learning_rate']:.1e}, {arguments['num_train_epochs']} epochs")
    return ", ".join(words)


def accuracy_change(info: Mapping[str, Any]) -> str:
    """`0.00 -> 1.00`, with a dash for what was not measured."""
    return f"{number(info.get('accuracy_before'))} -> {number(info.get('accuracy_after'))}"


def number(value: float | None) -> str:
    """Two decimals, or a dash for None and nan."""
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def seconds(trajectory: Trajectory, phase: str) -> str:
    """Seconds of one phase, or a dash if it did not take place."""
    return f"{trajectory.timings[phase]:.1f}" if phase in trajectory.timings else "-"


def episode_table(trajectories: Sequence[Trajectory]) -> Table:
    """One row an episode."""
    table = Table(title="episodes", title_justify="left")
    table.add_column("task", no_wrap=True)
    table.add_column("self-edit", overflow="fold", min_width=12)
    for heading in ("examples", "steps", "before", "after", "reward", "train s", "evaluate s"):
        table.add_column(heading, justify="right")
    table.add_column("outcome")
    for trajectory in trajectories:
        info = trajectory.info
        before, after = info.get("accuracy_before"), info.get("accuracy_after")
        rose = before is not None and after is not None and after > before
        table.add_row(
            trajectory.task_id,
            self_edit_short(info.get("self_edit", [])),
            str(info.get("examples", 0)),
            str(info.get("optimizer_steps", 0)),
            number(before),
            number(after),
            number(trajectory.reward),
            seconds(trajectory, "train_seconds"),
            seconds(trajectory, "evaluate_seconds"),
            str(info["outcome"]),
            style="green" if rose else None,
        )
    return table


def summary_text(trajectories: Sequence[Trajectory], elapsed: float) -> str:
    """Means over the episodes that have the figure; failures of the machine are counted apart, never as reward 0."""
    infos = [trajectory.info for trajectory in trajectories]
    scored = [t for t in trajectories if not t.truncated]
    pairs = [(i["accuracy_before"], i["accuracy_after"]) for i in infos if i.get("accuracy_after") is not None]
    lines = [
        f"episodes {len(trajectories)} in {elapsed:.0f} s ({3600 * len(trajectories) / max(elapsed, 1e-9):.0f} an hour)"
    ]
    if pairs:
        before, after = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        rose, fell = (sum(a > b for b, a in pairs), sum(a < b for b, a in pairs))
        lines.append(f"mean accuracy {before:.3f} before, {after:.3f} after: rose on {rose} tasks, fell on {fell}")
    if scored:
        lines.append(f"mean reward {sum(t.reward for t in scored) / len(scored):.3f} over {len(scored)} episodes")
    counts = Counter(str(info["outcome"]) for info in infos)
    lines.append("outcomes: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return "\n".join(lines)
