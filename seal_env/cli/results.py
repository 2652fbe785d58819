"""`seal-env compare`, `show`, `export` and `report`: what run folders hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from seal_env.errors import RunFolderError
from seal_env.journal import finite
from seal_env.report.formats import plural

if TYPE_CHECKING:
    from seal_env.experiments.show import Overview

folder_argument = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@click.command()
@click.argument("one", metavar="A", type=folder_argument)
@click.argument("other", metavar="B", type=folder_argument)
@json_option
@click.pass_obj
def compare(console: Console, /, one: Path, other: Path, as_json: bool) -> None:
    """Compare two runs: the settings that differ, and differences paired by task, with intervals.

    A and B are folders of `run`, `eval` or `train`; of `train` the trained policy is compared, on held-out tasks.
    """
    from seal_env.experiments.compare import compare as compare_runs
    from seal_env.report.comparison_table import comparison_table

    result = compare_runs(one.expanduser(), other.expanduser())
    if as_json:
        click.echo(json.dumps(finite(result), indent=1))
    else:
        console.print(comparison_table(result))


@click.command()
@click.argument("folders", metavar="RUN...", type=folder_argument, nargs=-1, required=True)
@click.option("--to", required=True, type=click.Choice(["csv", "parquet", "latex", "dataset"]), help="The format.")
@click.option(
    "--out", metavar="FILE", type=folder_argument, help="A new file or folder (default: standard output, for text)."
)
def export(folders: Sequence[Path], to: str, out: Path | None) -> None:
    """Export the self-edits of runs as a table, or their results as LaTeX.

    csv, parquet and dataset (a folder for `datasets.load_from_disk`) have a row for each self-edit, latex one for each run.
    """
    from seal_env.experiments.export import export as export_runs

    text = export_runs([folder.expanduser() for folder in folders], to, out.expanduser() if out else None)
    click.echo(text, nl=False)


@click.command("report")
@click.argument("folders", metavar="RUN...", type=folder_argument, nargs=-1, required=True)
@click.option(
    "--out",
    metavar="FILE",
    type=folder_argument,
    default="report.html",
    show_default=True,
    help="The page; a report is replaced.",
)
@click.option(
    "--cards",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Episodes of all runs that are shown whole; others are a line each.",
)
@click.option("--watch", "watched", is_flag=True, help="Write the page again while runs go on; a browser loads it again.")
@click.pass_obj
def report_runs(console: Console, /, folders: Sequence[Path], out: Path, cards: int, watched: bool) -> None:
    """Write runs as one HTML page: results, learning curves, tasks, choices, episodes and costs.

    The page needs no network and runs no script. Several runs are shown side by side, with differences paired by task.
    """
    paths, page = [folder.expanduser() for folder in folders], out.expanduser()
    console.print(f"begin     report of {plural(len(paths), 'run')}, to {page}", soft_wrap=True, markup=False)
    from seal_env.experiments.report import report, watch  # here: it imports what draws

    if not watched:
        with console.status(Text("reading and drawing")):
            report(paths, page, cards)
        console.print(f"written   {page}", soft_wrap=True, markup=False)
        return
    with console.status("") as status:
        watch(paths, page, cards, lambda text: status.update(Text(text)))
    console.print(f"written   {page}: the runs have ended", soft_wrap=True, markup=False)


@click.command("show")
@click.argument("folder", metavar="RUN", type=folder_argument)
@click.argument("episode", required=False, type=click.IntRange(min=0))
@json_option
@click.pass_obj
def show_run(console: Console, /, folder: Path, episode: int | None, as_json: bool) -> None:
    """Show what a run came to, or one EPISODE of `run` by its number: its task, answers, self-edit and losses."""
    from seal_env.experiments.show import overview, record_of

    found = overview(folder.expanduser())
    if episode is None:
        if as_json:
            click.echo(json.dumps(found.report if found.report is not None else found.records, indent=1))
        else:
            _show_overview(found, console)
        return
    record = record_of(found, episode)
    if as_json:
        click.echo(json.dumps(record, indent=1))
    else:
        _show_episode(found, record, console)


def _show_overview(found: Overview, console: Console) -> None:
    from seal_env.experiments.episode_log import trajectory_of
    from seal_env.report.episode_tables import episode_table, summary_text

    run, environment = found.tables["run"], found.tables["environment"]
    about = {"command": found.command, **run}
    line = ", ".join(f"{name} {value}" for name, value in about.items() if isinstance(value, str | int | float))
    console.print(Text(f"{found.folder}: {line}"))
    console.print(Text(f"model {environment.get('model')} on {environment.get('device')}, {environment.get('subset')}\n"))
    if found.report is not None:
        console.print(_report_table(found))
        return
    trajectories = [trajectory_of(record) for record in found.records]
    console.print(episode_table(trajectories, console, found.spec.tools, found.spec.metrics))
    elapsed = sum(sum(each.timings.values()) for each in trajectories)
    console.print(Text(f"\n{summary_text(trajectories, elapsed, None, found.spec.metrics)}"))


def _report_table(found: Overview) -> RenderableType:
    from seal_env.report import result_tables as tables

    report: Any = found.report
    drawn = {
        "eval": lambda: tables.evaluation_table(report),
        "train rest-em": lambda: tables.rest_em_table(report),
        "train grpo": lambda: tables.grpo_table(report),
        "reproduce": lambda: tables.reproduction_table(report),
        "reproduce continual": lambda: tables.continual_table(report),
    }
    try:
        return drawn[found.command]()
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"the result in {str(found.folder)!r} cannot be read: {error!r}") from error


def _show_episode(found: Overview, record: Any, console: Console) -> None:
    from seal_env.experiments.show import shown_task
    from seal_env.report.episode_view import episode_view
    from seal_env.report.task_tables import task_panels

    console.print(episode_view(record, found.spec.tools, tuple(found.spec.metrics)))
    shown = shown_task(found, record)
    if shown is not None:
        console.print()
        console.print(task_panels(shown.task, found.spec, console, shown.domain, shown.answers))
