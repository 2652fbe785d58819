"""Tables and summaries of episodes, for terminals from 80 columns on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from seal_env.agents.base import Trajectory
from seal_env.inner_loop.cache.loop import CacheStatistics
from seal_env.report.formats import DASH, duration, metric_heading, number, percentages, plural, seconds
from seal_env.report.self_edit_short import legend, self_edit_short
from seal_env.report.whole_episode import task_label, whole_info
from seal_env.tools.base import Tool
from seal_env.types import Outcome

NAMED_TASKS = 6
LONGEST_ID, LONGEST_ID_WIDE = 15, 24
WIDE = 100
"""Columns of a terminal from which on longer ids stay in one line."""
NARROW = 64
"""Columns of a terminal below which only task, accuracy and reward are shown."""
MARKS = ("", " +", " -")


def accuracy_change(info: Mapping[str, Any]) -> str:
    """`0 -> 100 % +`: a dash for what was not measured, a mark for a rise (+) or a fall (-)."""
    written = percentages(info.get("accuracy_before"), info.get("accuracy_after"))
    return f"{written}{MARKS[change(info)]}"


def change(info: Mapping[str, Any]) -> int:
    """1 if the update raised the accuracy, -1 if it lowered it, 0 if it did neither or was not measured."""
    before, after = info.get("accuracy_before"), info.get("accuracy_after")
    return 0 if before is None or after is None else (after > before) - (after < before)


def failure(info: Mapping[str, Any]) -> str:
    """Outcome and first line of the reason of an episode whose outcome is not ok; else an empty text."""
    if info["outcome"] == Outcome.OK:
        return ""
    reason = str(info.get("reason") or "").partition("\n")[0]
    return f"{info['outcome']}: {reason}" if reason else str(info["outcome"])


def episode_table(
    trajectories: Sequence[Trajectory], console: Console, tools: Sequence[Tool[Any]] = (), metrics: Iterable[str] = ()
) -> RenderableType:
    """One row for each episode: one line if the self-edit fits into the console's width, else two. A legend below.

    Args:
        trajectories: The episodes.
        console: Where the table is to be printed.
        tools: Those of the environment, whose shorthands abbreviate self-edits.
        metrics: Further measures of the updated model, which a narrow terminal shows in place of examples and seconds.
    """
    if console.width < NARROW:
        return _narrow_table(trajectories)
    names = tuple(metrics)
    longest = max((len(_self_edit_cell(whole_info(each), tools, ", ")) for each in trajectories), default=0)
    endless = console.options.update(width=1000)
    id_width = LONGEST_ID if console.width < WIDE else LONGEST_ID_WIDE
    wide = console.width >= WIDE or not names
    table = partial(_table, trajectories, tools, names=names, wide=wide, longest_id=id_width)
    others = console.measure(table(longest), options=endless).maximum - longest
    below = legend((each.info.get("self_edit", []) for each in trajectories if "sequence" not in each.info), tools)
    return Group(table(console.width - others), Text(below, style="dim"))


def _table(
    trajectories: Sequence[Trajectory],
    tools: Sequence[Tool[Any]],
    room: int,
    *,
    names: Sequence[str],
    wide: bool,
    longest_id: int,
) -> Table:
    """The table; `room` and `longest_id` are the most characters in a line of a self-edit and of an id."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    id_width = min(max((len(task_label(trajectory)) for trajectory in trajectories), default=0), longest_id)
    table.add_column("\ntask", overflow="fold", min_width=id_width, max_width=longest_id)
    table.add_column("\nself-edit", overflow="fold", min_width=14)
    if wide:
        table.add_column("exam-\nples", justify="right", no_wrap=True)
    table.add_column("\nsteps", justify="right", no_wrap=True)
    table.add_column("accuracy\nbefore, after", no_wrap=True)
    for name in names:
        table.add_column(metric_heading(name).replace(" ", "\n"), justify="right", no_wrap=True)
    table.add_column("\nreward", justify="right", no_wrap=True)
    if wide:
        table.add_column("train/\neval s", justify="right", no_wrap=True)
    for trajectory in trajectories:
        info = whole_info(trajectory)
        cell = _self_edit_cell(info, tools, ", ")
        table.add_row(
            Text(task_label(trajectory)),
            Text(cell if len(cell) <= room else _self_edit_cell(info, tools, "\n")),
            *([str(info.get("examples", 0))] if wide else []),
            str(info.get("optimizer_steps", 0)),
            accuracy_change(info),
            *(number(info.get(f"{name}_after")) for name in names),
            number(trajectory.reward),
            *([_took(trajectory.timings)] if wide else []),
            style=_style(info),
        )
    return table


def _narrow_table(trajectories: Sequence[Trajectory]) -> Table:
    """The columns that no terminal can do without; the outcome of a mistake stands in for its accuracy."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("task", overflow="fold")
    table.add_column("accuracy", overflow="fold")
    table.add_column("reward", justify="right", no_wrap=True)
    for trajectory in trajectories:
        info = whole_info(trajectory)
        found = accuracy_change(info) if info["outcome"] == Outcome.OK else str(info["outcome"])
        table.add_row(Text(task_label(trajectory)), found, number(trajectory.reward), style=_style(info))
    return table


def _took(timings: Mapping[str, float]) -> str:
    """Seconds of training and evaluation: `41.2/0.3`, `cache`, or a dash."""
    took = [seconds(timings, phase) for phase in ("train_seconds", "evaluate_seconds")]
    return "cache" if "cache_seconds" in timings else DASH if took == [DASH, DASH] else "/".join(took)


def _self_edit_cell(info: Mapping[str, Any], tools: Sequence[Tool[Any]], separator: str) -> str:
    """The self-edit, or of a sequence how many updates it has; and the outcome where it is not ok."""
    if "sequence" in info:
        words = [plural(info["position"], "task")]
    else:
        words = [self_edit_short(info.get("self_edit", []), tools, separator)]
    if info["outcome"] != Outcome.OK:
        words.append(str(info["outcome"]))
    return separator.join(filter(None, words))


def _style(info: Mapping[str, Any]) -> str | None:
    if info["outcome"] != Outcome.OK:
        return "yellow"
    return (None, "green", "red")[change(info)]


def summary_text(
    trajectories: Sequence[Trajectory],
    elapsed: float,
    cached: CacheStatistics | None = None,
    metrics: Iterable[str] = (),
) -> str:
    """Means over the episodes with that figure. Infrastructure failures are counted separately, never as reward 0.

    Args:
        trajectories: The episodes.
        elapsed: Seconds that they took together.
        cached: Statistics of the cache of updates; None if there was none.
        metrics: Further measures, before and after the update.
    """
    infos = [{**whole_info(each), "task_id": task_label(each)} for each in trajectories]
    rewards = [trajectory.reward for trajectory in trajectories if not trajectory.truncated]
    counts = Counter(str(info["outcome"]) for info in infos)
    pace = f" ({3600 * len(infos) / elapsed:.0f} an hour)" if elapsed >= 1 else ""  # nothing was trained in less
    lines = [
        f"episodes  {len(infos)} in {duration(elapsed)}{pace}: "
        + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    ]
    pairs = [(i["accuracy_before"], i["accuracy_after"]) for i in infos if _measured(i)]
    if pairs:
        before, after = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        means = f"{100 * before:.1f} % before, {100 * after:.1f} % after the update"
        lines.append(f"accuracy  {means} (mean of {len(pairs)})")
        lines += _metric_lines(infos, metrics)
        lines += [f"{word:<10}{_named(infos, sign)}" for word, sign in (("rose", 1), ("fell", -1))]
    if rewards:
        lines.append(f"reward    {sum(rewards) / len(rewards):.3f} (mean of {len(rewards)})")
    failed = len(infos) - len(rewards)
    if failed:
        lines.append(f"failed    {plural(failed, 'episode')} (infrastructure failure): excluded from all means")
    if cached and cached.jobs:
        known = f"{cached.hits + cached.shared} of {cached.jobs} updates and base evaluations"
        lines.append(f"cache     {cached.hit_rate:.2f} hit rate ({known})")
    return "\n".join(lines)


def _metric_lines(infos: Sequence[Mapping[str, Any]], metrics: Iterable[str]) -> Iterator[str]:
    """`word F1   0.021 before, 0.644 after (mean of 10)` for each measure that any episode has."""
    for name in metrics:
        pairs = [(info.get(f"{name}_before"), info.get(f"{name}_after")) for info in infos]
        known = [(before, after) for before, after in pairs if before is not None and after is not None]
        if known:
            before, after = (sum(column) / len(known) for column in zip(*known, strict=True))
            heading = f"{metric_heading(name):<9} "
            yield f"{heading}{before:.3f} before, {after:.3f} after (mean of {len(known)})"


def _measured(info: Mapping[str, Any]) -> bool:
    return info.get("accuracy_before") is not None and info.get("accuracy_after") is not None


def _named(infos: Sequence[Mapping[str, Any]], sign: int) -> str:
    """The episodes whose accuracy changed in a direction: `2: 5582e5ca (0 -> 100 %), 6150a2bd (50 -> 100 %)`."""
    moved = [info for info in infos if change(info) == sign]
    named = [f"{i['task_id']} ({percentages(i['accuracy_before'], i['accuracy_after'])})" for i in moved[:NAMED_TASKS]]
    if len(moved) > NAMED_TASKS:
        named.append(f"and {len(moved) - NAMED_TASKS} more")
    return f"{len(moved)}: {', '.join(named)}" if moved else "none"
