"""`seal-env tasks list`, `show` and `validate`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from seal_env.domains.base import DomainSpec
from seal_env.domains.overlap import known_pieces, listed, shared_tasks
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain
from seal_env.errors import MissingExtraError, TaskError, UnknownTaskError
from seal_env.report.task_tables import task_panels, taskset_table, tasksets_table
from seal_env.tasks.content import digest
from seal_env.types import Taskset

SUBSET = "A task set (NAME or NAME:COUNT), comma-separated ids, or a path"
domain_option = click.option("--domain", default=DEFAULT_DOMAIN, show_default=True, help="Kind of task.")


def subset_option(more: str) -> Callable[[Any], Any]:
    """`--subset`, with a note."""
    return click.option("--subset", help=f"{SUBSET}; {more}.")


@click.group(no_args_is_help=True)
def tasks() -> None:
    """List, show or validate tasks."""


@tasks.command("list")
@subset_option("by default the task sets are listed")
@domain_option
@click.pass_obj
def list_tasks(console: Console, subset: str | None, domain: str) -> None:
    """List the task sets, or the tasks of one."""
    if subset is None:
        console.print(tasksets_table(domains().values()))
    else:
        spec = get_domain(domain)
        console.print(taskset_table(_load(spec, subset), spec))


@tasks.command()
@click.argument("task_id")
@subset_option("by default the task is looked up by its id")
@domain_option
@click.pass_obj
def show(console: Console, task_id: str, subset: str | None, domain: str) -> None:
    """Show a task with its answers."""
    spec = get_domain(domain)
    try:
        task = _load(spec, subset or task_id)[task_id]
    except UnknownTaskError as error:
        if subset is None and (close := _close_ids(spec, task_id)):
            raise UnknownTaskError(f"no task {task_id!r}; did you mean {' or '.join(close)}?") from error
        raise
    console.print(task_panels(task, spec, console))


def _close_ids(own: DomainSpec, task_id: str) -> list[str]:
    """Ids like this one: of the domain, or else of others with the option that leads to them."""
    for spec in (own, *(spec for spec in domains().values() if spec is not own)):
        known = list[str]()
        for name in _names(spec, None):
            with suppress(TaskError, MissingExtraError):  # of a package that is missing, or too old
                known += spec.load(name, spec.options()).task_ids
        if close := difflib.get_close_matches(task_id, dict.fromkeys(known), n=3, cutoff=0.7):
            return [f"{each} --domain {spec.name}" if spec is not own else each for each in close]
    return []


@tasks.command()
@click.argument("sets", nargs=-1)
@subset_option("or several sets; by default all that need no download, which takes minutes")
@click.option("--free-answers", is_flag=True, help="Answers need not be literal parts of the context.")
@domain_option
@click.pass_obj
def validate(console: Console, sets: Sequence[str], subset: str | None, free_answers: bool, domain: str) -> int:
    """Check tasks without a model: right answers score 1, wrong ones 0, and no answer leaks.

    For several SETS it also shows the tasks that they share, compared by content, and the others that ask about a
    question, a pair or a sentence of the other set.

    Exits with 1 if a task has a problem, or if two SETS share one.
    """
    spec = get_domain(domain)
    seen: set[str] = set()
    count = failed = 0
    loaded = {name: _load(spec, name) for name in (*sets, *([] if sets and subset is None else _names(spec, subset)))}
    for name, taskset in loaded.items():
        each = {digest("task", task) for task in taskset}
        if seen.issuperset(each):  # a second name of the same set
            continue
        seen |= each
        with console.status(Text(f"validating {name}: {len(taskset)} tasks")):
            found = spec.validate(taskset, free_answers)
        count, failed = count + len(taskset), failed + _show_problems(found, console)
    console.print(f"{count} task{'' if count == 1 else 's'}, {failed or 'none'} with problems")
    shared = _show_overlaps(spec, {name: loaded[name] for name in sets}, console)
    return 1 if failed or shared else 0


def _show_overlaps(spec: DomainSpec, sets: Mapping[str, Taskset[Any, Any]], console: Console) -> int:
    """Print the tasks that each pair of task sets shares, under the names given; returns their number."""
    count = 0
    for (one, tasks_of_one), (other, tasks_of_other) in combinations(sets.items(), 2):
        shared = shared_tasks(spec, tasks_of_one, tasks_of_other)
        tasks = f"{len(shared) or 'no'} task{'' if len(shared) == 1 else 's'}"
        ids = f": {', '.join(map(str, shared))}" if shared else ""
        console.print(f"{one} and {other} share {tasks}{ids}", markup=False, soft_wrap=True)
        _show_pieces(spec, one, tasks_of_one, other, tasks_of_other, console)
        _show_pieces(spec, other, tasks_of_other, one, tasks_of_one, console)
        count += len(shared)
    return count


def _show_pieces(
    spec: DomainSpec, one: str, train: Taskset[Any, Any], other: str, held_out: Taskset[Any, Any], console: Console
) -> None:
    """Print the tasks of `other` that are not in `one` as a whole, but ask about pieces of its tasks."""
    whole = {shared.one for shared in shared_tasks(spec, held_out, train)}
    found = [known for known in known_pieces(spec, train, held_out) if known.task_id not in whole]
    if found:
        said = f"{len(found)} task{'' if len(found) == 1 else 's'} of {other} ask{'s' if len(found) == 1 else ''} about"
        console.print(f"{said} pieces of {one}: {listed(found)}", markup=False, soft_wrap=True)


def _load(spec: DomainSpec, subset: str) -> Taskset[Any, Any]:
    return spec.load(os.path.expanduser(subset), spec.options())


def _names(spec: DomainSpec, subset: str | None) -> Iterator[str]:
    """The task sets to validate; several names may be given with commas, as ids of one set may."""
    if subset is None:
        yield from (name for name, entry in spec.tasksets.items() if not entry.online)
        return
    names = [part.strip() for part in subset.split(",")]
    yield from names if {name.partition(":")[0] for name in names} <= set(spec.tasksets) else [subset]


def _show_problems(found: Mapping[str, Sequence[str]], console: Console) -> int:
    """Print the problems; how many tasks have one."""
    for task_id, problems in found.items():
        for problem in problems:
            console.print(f"{task_id}: {problem}", style="red", markup=False, soft_wrap=True)
    return sum(map(bool, found.values()))
