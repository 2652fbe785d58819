"""`seal-env tasks list`, `show` and `validate`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import combinations
from typing import Any

import click
from click.core import ParameterSource

from seal_env.cli.completion import completer
from seal_env.domains.base import DomainSpec
from seal_env.domains.overlap import KnownPieces, known_pieces, listed, shared_tasks
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain, load_taskset
from seal_env.errors import MissingExtraError, TaskError, UnknownTaskError
from seal_env.report.formats import plural
from seal_env.report.task_tables import task_panels, task_rows, taskset_rows, taskset_table, tasksets_table
from seal_env.report.terminal import Terminal
from seal_env.tasks.content import digest
from seal_env.types import Taskset

_Tasks = Taskset[Any, Any]
SUBSET = "A task set (NAME or NAME:COUNT), comma-separated ids, or a path"
domain_option = click.option(
    "--domain", default=DEFAULT_DOMAIN, show_default=True, help="Kind of task.", shell_complete=completer("domain")
)


def subset_option(more: str) -> Callable[[Any], Any]:
    """`--subset`, with a note."""
    return click.option("--subset", help=f"{SUBSET}; {more}.", shell_complete=completer("subset"))


@click.group(no_args_is_help=True)
def tasks() -> None:
    """List, show or validate tasks."""


@tasks.command("list")
@subset_option("by default the task sets are listed")
@domain_option
@click.pass_obj
def list_tasks(console: Terminal, subset: str | None, domain: str) -> None:
    """List the task sets (those of a domain, if it is named), or the tasks of one."""
    if subset is None:
        named = click.get_current_context().get_parameter_source("domain") is ParameterSource.COMMANDLINE
        rows = taskset_rows([get_domain(domain)] if named else domains().values())
        console.show(rows, tasksets_table(rows))
        return
    spec = get_domain(domain)
    taskset = _load(spec, subset)
    console.show(task_rows(taskset, spec), taskset_table(taskset, spec))


@tasks.command()
@click.argument("task_id", shell_complete=completer("task_id"))
@subset_option("by default the task is looked up by its id")
@domain_option
@click.pass_obj
def show(console: Terminal, task_id: str, subset: str | None, domain: str) -> None:
    """Show a task with its answers."""
    spec = get_domain(domain)
    try:
        task = _load(spec, subset or task_id)[task_id]
    except UnknownTaskError as error:
        if subset is None and (close := _close_ids(spec, task_id)):
            raise UnknownTaskError(f"no task {task_id!r}; did you mean {' or '.join(close)}?") from error
        raise
    console.show(asdict(task), task_panels(task, spec, console.results))


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
@click.argument("sets", nargs=-1, shell_complete=completer("sets"))
@subset_option("or several sets; by default all that need no download, which takes minutes")
@click.option("--free-answers", is_flag=True, help="Answers need not be literal parts of the context.")
@domain_option
@click.pass_obj
def validate(console: Terminal, sets: Sequence[str], subset: str | None, free_answers: bool, domain: str) -> int:
    """Check tasks without a model: right answers score 1, wrong ones 0, and no answer leaks.

    For several SETS it also shows the tasks that they share, compared by content, and the others that ask about a
    question, a pair or a sentence of the other set.

    Exits with 1 if a task has a problem, or if two SETS share one.
    """
    spec = get_domain(domain)
    loaded = {name: _load(spec, name) for name in (*sets, *([] if sets and subset is None else _names(spec, subset)))}
    problems: dict[str, Mapping[str, Sequence[str]]] = {}
    count = 0
    for name, taskset in _different(loaded):
        with console.status(f"validating {name}: {plural(len(taskset), 'task')}"):
            problems[name] = {task_id: each for task_id, each in spec.validate(taskset, free_answers).items() if each}
        count += len(taskset)
        for task_id, found in problems[name].items():
            for problem in found:
                console.results.print(f"{task_id}: {problem}", style="red", soft_wrap=True)
    failed = sum(map(len, problems.values()))
    console.results.print(f"{plural(count, 'task')}, {failed or 'none'} with problems")
    overlaps = [_overlap(spec, *pair, console) for pair in combinations([(name, loaded[name]) for name in sets], 2)]
    console.show({"tasks": count, "problems": problems, "overlaps": overlaps})
    return 1 if failed or any(each["shared"] for each in overlaps) else 0


def _different(loaded: Mapping[str, _Tasks]) -> Iterator[tuple[str, _Tasks]]:
    """The task sets without those that hold nothing new, as a second name of the same set does."""
    seen: set[str] = set()
    for name, taskset in loaded.items():
        each = {digest("task", task) for task in taskset}
        if not seen.issuperset(each):
            yield name, taskset
        seen |= each


def _overlap(spec: DomainSpec, one: tuple[str, _Tasks], other: tuple[str, _Tasks], console: Terminal) -> dict[str, Any]:
    """Print the tasks that two sets share, under the names given; returns what was found."""
    shared = shared_tasks(spec, one[1], other[1])
    ids = f": {', '.join(map(str, shared))}" if shared else ""
    tasks = plural(len(shared), "task") if shared else "no tasks"
    console.results.print(f"{one[0]} and {other[0]} share {tasks}{ids}", soft_wrap=True)
    pieces = {held_out[0]: _pieces(spec, train, held_out, console) for train, held_out in ((one, other), (other, one))}
    return {
        "sets": [one[0], other[0]],
        "shared": [each._asdict() for each in shared],
        "pieces": {name: [each._asdict() for each in found] for name, found in pieces.items()},
    }


def _pieces(
    spec: DomainSpec, train: tuple[str, _Tasks], held_out: tuple[str, _Tasks], console: Terminal
) -> list[KnownPieces]:
    """The tasks of `held_out` that are not in `train` as a whole, but ask about pieces of its tasks; they are printed."""
    whole = {shared.one for shared in shared_tasks(spec, held_out[1], train[1])}
    found = [known for known in known_pieces(spec, train[1], held_out[1]) if known.task_id not in whole]
    if found:
        said = f"{plural(len(found), 'task')} of {held_out[0]} ask{'s' if len(found) == 1 else ''} about"
        console.results.print(f"{said} pieces of {train[0]}: {listed(found)}", soft_wrap=True)
    return found


def _load(spec: DomainSpec, subset: str) -> _Tasks:
    return load_taskset(spec, os.path.expanduser(subset), spec.options())


def _names(spec: DomainSpec, subset: str | None) -> Iterator[str]:
    """The task sets to validate; several names may be given with commas, as ids of one set may."""
    if subset is None:
        yield from (name for name, entry in spec.tasksets.items() if not entry.online)
        return
    names = [part.strip() for part in subset.split(",")]
    yield from names if {name.partition(":")[0] for name in names} <= set(spec.tasksets) else [subset]
