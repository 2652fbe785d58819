"""Stored episodes that were scored again: old and new side by side, for terminals from 80 columns on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seal_env.intervals import Interval
from seal_env.report.formats import DASH, number, percentages, plain_table, plural, share

SHOWN_EPISODES: Final = 40
SHOWN_VERDICTS: Final = 20
LONGEST_TEXT: Final = 60


def rescore_tables(result: Mapping[str, Any]) -> RenderableType:
    """The settings, a row for each episode, the answers with another verdict, and the means with their intervals.

    Of many episodes only those with another reward are shown.

    Args:
        result: What `seal_env.experiments.rescore.rescore` returned.
    """
    return Group(
        Text(f"{_settings(result)}\n"),
        _episodes(result["episodes"]),
        Text(f"\n{_verdicts(result['changed'])}"),
        _means(result["summary"]),
        Text("\n".join(_notes(result))),
    )


def _settings(result: Mapping[str, Any]) -> str:
    """`grader    exact_match -> lexical`, a line for each setting of scoring."""
    old, new = result["settings"]["old"], result["settings"]["new"]
    names = dict.fromkeys((*old, *new))
    width = max(9, *map(len, names))
    lines = []
    for name in names:
        was, now = old.get(name, DASH), new.get(name, DASH)
        lines.append(f"{name:<{width}} {was if was == now else f'{was} -> {now}'}")
    return "\n".join(lines)


def _episodes(episodes: Sequence[Mapping[str, Any]]) -> RenderableType:
    few = len(episodes) <= SHOWN_EPISODES
    moved = [each for each in episodes if each["reward"]["old"] != each["reward"]["new"]]
    shown = (episodes if few else moved)[:SHOWN_EPISODES]
    table = plain_table("episode", "task", "accuracy", "reward", "verdicts")
    for column, width in zip(table.columns[:2], (26, 22), strict=True):
        column.overflow, column.max_width, column.justify = "fold", width, "left"
    for each in shown:
        old, new = each["reward"]["old"], each["reward"]["new"]
        style = "yellow" if each["failed"] else None if old == new else "green" if (new or 0) > (old or 0) else "red"
        changed = str(each["verdicts_changed"] or DASH)
        cells = (_shares(each["accuracy_after"]), _side_by_side(each["reward"]), changed)
        table.add_row(Text(each["episode"]), Text(each["task_id"]), *cells, style=style)
    left = len(episodes) - len(shown)
    note = (
        f"{plural(left, 'further episode')}, {len(moved) - len(shown) if not few else 0} with another reward" if left else ""
    )
    return Group(table, Text(note, "dim")) if note else table


def _side_by_side(figures: Mapping[str, float | None]) -> str:
    """`0.50 -> 0.75`, or one of them where they are equal."""
    old, new = number(figures["old"]), number(figures["new"])
    return old if old == new else f"{old} -> {new}"


def _shares(figures: Mapping[str, float | None]) -> str:
    """`50 -> 75 %`, or one of them where they are equal."""
    old, new = share(figures["old"]), share(figures["new"])
    return percentages(figures["old"], figures["new"]) if old != new else old if old == DASH else f"{old} %"


def _verdicts(changed: Sequence[Mapping[str, Any]]) -> Text:
    """The answers after updates whose verdict is another one."""
    after = [each for each in changed if each["updates"]]
    lines = [f"{plural(len(after), 'answer')} with another verdict after the update, {len(changed) - len(after)} before it"]
    for each in after[:SHOWN_VERDICTS]:
        now = "right" if each["new"] else "wrong"
        said = " | ".join(map(_short, each["prediction"] or ()))
        lines.append(f"now {now}  {each['task_id']}, query {each['query']}: {said}  (gold: {_short(each['gold'])})")
    if len(after) > SHOWN_VERDICTS:
        lines.append(f"and {len(after) - SHOWN_VERDICTS} more, which are in the file")
    return Text("\n".join(lines))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."


def _means(summary: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each journal: the mean rewards over tasks with 95 % bootstrap intervals, and of their differences."""
    table = plain_table("mean over tasks", "tasks", "old", "new", "difference")
    table.columns[0].overflow, table.columns[0].max_width = "fold", 18
    for name, found in summary.items():
        table.add_row(
            Text(name), str(found.get("tasks", 0)), *(_interval(found.get(each)) for each in ("old", "new", "difference"))
        )
    return table


def _interval(interval: Mapping[str, Any] | None) -> str:
    return DASH if interval is None else Interval(**interval).text()


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    failed = sum(each["failed"] for each in result["summary"].values())
    broken = sum(each["infrastructure"] for each in result["summary"].values())
    if failed:
        yield f"failed    {plural(failed, 'episode')} at which the judge failed: excluded from all means, and no reward of 0"
    if broken:
        yield f"excluded  {plural(broken, 'infrastructure failure')} of the run"
    if not result["checked"]:
        yield "unchecked the rewards on record were not scored again by the run's own settings"
    yield f"written   {result['out']}"
