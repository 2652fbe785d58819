"""Task sets as tables and tasks as panels, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from seal_env.domains.base import DomainSpec
from seal_env.envs.render import grid_text
from seal_env.errors import MissingExtraError, TaskError
from seal_env.panels import Panel
from seal_env.report.formats import DASH, plain_table, plural
from seal_env.tasks.base import TasksetEntry
from seal_env.types import Evaluation, Task, TaskDomain, Taskset

ARROW = " -> "
MISSING = "none"
"""Stands for an answer that was not given, or could not be read."""
NOTE = "NAME:COUNT takes the first COUNT tasks of a set; generated sets are endless."


def taskset_rows(specs: Iterable[DomainSpec]) -> list[dict[str, Any]]:
    """For each task set `name`, `tasks`, `content` and `domain`; `tasks` is None where counting takes a download."""
    return [
        {"name": name, "tasks": _count(entry), "content": entry.description, "domain": spec.name}
        for spec in specs
        for name, entry in spec.tasksets.items()
    ]


def tasksets_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A row for each task set, given as `taskset_rows` makes them."""
    table = plain_table("task set", "tasks", "content", "domain")
    for column in table.columns[2:]:
        column.justify = "left"
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(row["name"], DASH if row["tasks"] is None else str(row["tasks"]), row["content"], row["domain"])
        if following is not None and following["domain"] != row["domain"]:
            table.add_section()
    return Group(table, Text(f"\n{NOTE}", "dim"))


def _count(entry: TasksetEntry[Any]) -> int | None:
    if entry.online:
        return None
    try:
        return len(entry())
    except (TaskError, MissingExtraError):  # a package is missing, or too old
        return None


def task_rows(taskset: Taskset[Any, Any], spec: DomainSpec) -> list[dict[str, str | int]]:
    """For each task of a set `task_id`, and what its domain tells of it."""
    columns = ((task.task_id, spec.columns(task)) for task in taskset)
    return [
        {"task_id": task_id, **{name: int(cell) if cell.isdecimal() else cell for name, cell in row.items()}}
        for task_id, row in columns
    ]


def taskset_table(taskset: Taskset[Any, Any], spec: DomainSpec) -> RenderableType:
    """Every task of one set, with what its domain tells of a task."""
    rows = {task.task_id: spec.columns(task) for task in taskset}
    table = plain_table("task", *next(iter(rows.values()), {}))
    table.columns[0].overflow = "fold"
    for number, cells in enumerate(zip(*(row.values() for row in rows.values()), strict=True), 1):
        if not all(cell[:1].isdigit() for cell in cells):
            table.columns[number].justify = "left"
    for task_id, row in rows.items():
        table.add_row(Text(task_id), *map(Text, row.values()))
    return Group(table, Text(f"\n{plural(len(rows), 'task')} in {taskset.name}"))


def task_panels(
    task: Task[Any, Any],
    spec: DomainSpec,
    console: Console,
    domain: TaskDomain | None = None,
    shown: Mapping[str, Evaluation | None] | None = None,
) -> RenderableType:
    """A task with its answers, as the rows of panels that its domain makes of it.

    Rows of grids go side by side as far as the width allows; cells are narrower, and grids below each other, where it
    requires so.

    Args:
        task: To show.
        spec: Its kind.
        console: Where it is to be printed.
        domain: How it is rendered; None is by the domain's default options.
        shown: Evaluations by name, whose answers go beside the gold ones.
    """
    rows = [list(map(_with_verdict, row)) for row in (domain or spec.make(spec.options(), None)).panels(task, shown or {})]
    grids = [panel for row in rows for _, panel, _ in row if not isinstance(panel, str)]
    cell_width = 2 if 2 * max((len(grid[0]) for grid in grids), default=0) <= console.width else 1
    about = ", ".join(f"{heading} {value}" for heading, value in spec.columns(task).items())
    blocks = [_block(row, cell_width, console.width) for row in rows]
    together = Columns(blocks, padding=(1, 4)) if len(grids) == sum(map(len, rows)) else Group(*blocks)
    return Group(Text(f"{task.task_id}: {about}", style="bold"), Text(""), together)


def _with_verdict(panel: Panel) -> Panel:
    """The panel with right or wrong in its caption, and MISSING for what is none."""
    verdict = {True: ", right", False: ", wrong", None: ""}[panel.right]
    return Panel(f"{panel.caption}{verdict}", MISSING if panel.shown is None else panel.shown, panel.right)


def _block(row: Sequence[Panel], cell_width: int, width: int) -> RenderableType:
    """One row: texts below each other; grids with arrows between them if they fit in a line."""
    if all(isinstance(panel, str) for _, panel, _ in row):
        lines = [Text.assemble((f"{caption}: ", "bold"), panel) for caption, panel, _ in row]
        return Group(*lines, Text(""))
    sizes = [len(panel) if isinstance(panel, str) else cell_width * len(panel[0]) for _, panel, _ in row]
    caption = Text(ARROW.join(f"{caption} {_size(panel)}".strip() for caption, panel, _ in row), style="dim")
    needed = sum(sizes) + len(ARROW) * (len(row) - 1)
    parts = [_drawn(row[0][1], cell_width)]
    for _, panel, _ in row[1:]:
        parts += [Text(ARROW if needed <= width else ARROW.strip()), _drawn(panel, cell_width)]
    if needed > width:
        return Group(caption, *parts)
    line = Table.grid()
    line.add_row(*parts)
    return Group(caption, line)


def _size(panel: Any) -> str:
    return "" if isinstance(panel, str) else f"{len(panel)}x{len(panel[0])}"


def _drawn(panel: Any, cell_width: int) -> Text:
    return Text(panel) if isinstance(panel, str) else grid_text(panel, cell_width)
