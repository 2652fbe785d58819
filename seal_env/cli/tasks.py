"""`seal-env tasks`: list, show and validate."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from seal_env.domains.registry import domains
from seal_env.errors import UnknownTaskError
from seal_env.report.task_tables import passage_text, passages_table, task_pictures, taskset_table, tasksets_table
from seal_env.tasks.arc.loader import TASKSETS, load_taskset
from seal_env.tasks.arc.validate import validate
from seal_env.tasks.knowledge.loader import TASKSETS as PASSAGES
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tasks.knowledge.validate import validate_all


def add_tasks(commands: Any) -> None:
    """The command's parser."""
    about = "List, show or validate tasks."
    parser = commands.add_parser("tasks", help="list, show or validate tasks", description=about)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", dest="action name")
    where = "a task set (NAME or NAME:COUNT), comma-separated ids, or a path"
    listing = actions.add_parser("list", help="the task sets, or the tasks of one", description="List task sets or tasks.")
    listing.add_argument("--subset", help=where)
    listing.set_defaults(command=list_tasks)
    show = actions.add_parser("show", help="draw a task's grids", description="Draw a task's grids, the answers too.")
    show.add_argument("task_id", metavar="TASK_ID", help="an id of ARC-AGI-1, ARC-AGI-2 or mini, or of --subset")
    show.add_argument("--subset", help=f"{where}; where to look for the task")
    show.set_defaults(command=show_task)
    about = "Prove tasks without a model: right answers score 1, wrong ones 0, and no answer leaks."
    check = actions.add_parser("validate", help="prove every task, without a model", description=about)
    check.add_argument("--subset", help=f"{where}; or several sets (default: all, which takes minutes)")
    check.add_argument("--free-answers", action="store_true", help="knowledge: answers need not be parts of the passage")
    check.set_defaults(command=validate_tasks)
    for action in (listing, show, check):
        action.add_argument("--domain", default="arc", choices=tuple(domains()), help="default: %(default)s")


def list_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks list`."""
    if arguments.subset is None:
        console.print(tasksets_table())
    elif arguments.domain == "knowledge":
        console.print(passages_table(load_passages(arguments.subset)))
    else:
        console.print(taskset_table(load_taskset(arguments.subset)))
    return 0


def show_task(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks show TASK_ID`: every grid, the gold outputs too."""
    task_id = arguments.task_id
    if arguments.domain == "knowledge":
        console.print(passage_text(load_passages(arguments.subset or task_id)[task_id]), soft_wrap=False)
        return 0
    if arguments.subset is None and (task_id in TASKSETS or not re.fullmatch(r"[0-9a-f]{8}|mini-\w+-\d+-\d+", task_id)):
        legal = "an id such as 5582e5ca or mini-train-0-7 (`seal-env tasks list --subset NAME` lists them), or --subset"
        raise UnknownTaskError(f"TASK_ID={task_id!r} is no task id; expected {legal}")
    console.print(task_pictures(load_taskset(arguments.subset or task_id)[task_id], console))
    return 0


def validate_tasks(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tasks validate`: 1 if any task has a problem."""
    if arguments.domain == "knowledge":
        return _validate_passages(arguments, console)
    every = ",".join(name for name in TASKSETS if name != "mini")
    subset = every if arguments.subset is None else arguments.subset
    parts = [part.strip() for part in subset.split(",")]
    names = parts if {part.partition(":")[0] for part in parts} <= set(TASKSETS) else [subset]
    count = failed = 0
    for name in names:
        taskset = load_taskset(name)
        with console.status(f"validating {name}: {len(taskset)} tasks"):
            found = {task.task_id: validate(task) for task in taskset}
        count, failed = count + len(found), failed + _show_problems(found, console)
    return _verdict(count, failed, console)


def _validate_passages(arguments: argparse.Namespace, console: Console) -> int:
    names = [name for name in PASSAGES if name != "synthetic"] if arguments.subset is None else [arguments.subset]
    count = failed = 0
    for name in names:
        tasks = load_passages(name)
        with console.status(f"validating {name}: {len(tasks)} passages"):
            found = validate_all(tasks, spans=not arguments.free_answers)
        count, failed = count + len(tasks), failed + _show_problems(found, console)
    return _verdict(count, failed, console)


def _show_problems(found: Mapping[str, Sequence[str]], console: Console) -> int:
    """How many tasks have a problem."""
    for task_id, problems in found.items():
        for problem in problems:
            console.print(f"{task_id}: {problem}", style="red", markup=False, soft_wrap=True)
    return sum(map(bool, found.values()))


def _verdict(count: int, failed: int, console: Console) -> int:
    console.print(f"{count} task{'' if count == 1 else 's'}, {failed or 'none'} with problems")
    return 1 if failed else 0
