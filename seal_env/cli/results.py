"""`seal-env compare`, `show`, `export` and `report`: what run folders hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from seal_env.cli.completion import run_folders
from seal_env.errors import RunFolderError
from seal_env.report.formats import plural
from seal_env.report.terminal import Terminal

if TYPE_CHECKING:
    from seal_env.experiments.show import Overview

path = click.Path(path_type=Path)


@click.command()
@click.argument("one", metavar="A", type=path, shell_complete=run_folders)
@click.argument("other", metavar="B", type=path, shell_complete=run_folders)
@click.pass_obj
def compare(console: Terminal, /, one: Path, other: Path) -> None:
    """Compare two runs: the settings that differ, and differences paired by task, with intervals.

    A and B are folders of `run`, `eval` or `train`; of `train` the trained policy is compared, on held-out tasks.
    """
    from seal_env.experiments.compare import compare as compare_runs
    from seal_env.report.comparison_table import comparison_table

    result = compare_runs(one.expanduser(), other.expanduser())
    console.show(result, comparison_table(result))


@click.command()
@click.argument("folders", metavar="RUN...", type=path, nargs=-1, required=True, shell_complete=run_folders)
@click.option("--to", required=True, type=click.Choice(["csv", "parquet", "latex", "dataset"]), help="The format.")
@click.option("--out", metavar="FILE", type=path, help="A new file or folder (default: standard output, for text).")
@click.pass_obj
def export(console: Terminal, /, folders: Sequence[Path], to: str, out: Path | None) -> None:
    """Export the self-edits of runs as a table, or their results as LaTeX.

    csv, parquet and dataset (a folder for `datasets.load_from_disk`) have a row for each self-edit, latex one for each run.
    """
    from seal_env.experiments.export import export as export_runs

    text = export_runs([folder.expanduser() for folder in folders], to, out.expanduser() if out else None)
    about = {"runs": [str(folder) for folder in folders], "format": to}
    if out is None:
        console.show_text({**about, "text": text}, text)
        return
    console.show({**about, "out": str(out)})
    console.print(f"written   {out}", soft_wrap=True)


@click.command("report")
@click.argument("folders", metavar="RUN...", type=path, nargs=-1, required=True, shell_complete=run_folders)
@click.option(
    "--out",
    metavar="FILE",
    type=path,
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
def report_runs(console: Terminal, /, folders: Sequence[Path], out: Path, cards: int, watched: bool) -> None:
    """Write runs as one HTML page: results, learning curves, tasks, choices, episodes and costs.

    The page needs no network and runs no script. Several runs are shown side by side, with differences paired by task.
    """
    paths, page = [folder.expanduser() for folder in folders], out.expanduser()
    console.print(f"begin     report of {plural(len(paths), 'run')}, to {page}", soft_wrap=True)
    from seal_env.experiments.report import report, watch  # here: it imports what draws

    if not watched:
        with console.status("reading and drawing"):
            report(paths, page, cards)
    else:
        with console.status("") as status:
            watch(paths, page, cards, lambda text: status.update(Text(text)))
    ended = ": the runs have ended" if watched else ""
    console.show({"runs": [str(folder) for folder in folders], "report": str(page)}, f"written   {page}{ended}")


@click.command("show")
@click.argument("folder", metavar="RUN", type=path, shell_complete=run_folders)
@click.argument("episode", required=False, type=click.IntRange(min=0))
@click.pass_obj
def show_run(console: Terminal, /, folder: Path, episode: int | None) -> None:
    """Show what a run came to, or one EPISODE of `run` by its number, from 0: its task, answers, self-edit and losses."""
    from seal_env.experiments.show import overview, record_of

    found = overview(folder.expanduser())
    if episode is not None:
        record = record_of(found, episode)
        console.show(record, *(() if console.as_json else _episode(found, record, console.results)))
    elif console.as_json:
        console.show(found.report if found.report is not None else found.records)
    else:
        console.show(None, *_overview(found, console.results))


def _overview(found: Overview, console: Console) -> Iterator[RenderableType]:
    from seal_env.experiments.episode_log import trajectory_of
    from seal_env.report.episode_tables import episode_table, summary_text

    run, environment = found.tables["run"], found.tables["environment"]
    about = {"command": found.command, **run}
    line = ", ".join(f"{name} {value}" for name, value in about.items() if isinstance(value, str | int | float))
    yield Text(f"{found.folder}: {line}")
    if "suite" not in run:  # whose parts have a task set and a model each
        yield Text(f"model {environment.get('model')} on {environment.get('device')}, {environment.get('subset')}")
    yield ""
    if found.report is not None:
        yield _report_table(found)
        return
    trajectories = [trajectory_of(record) for record in found.records]
    yield episode_table(trajectories, console, found.spec.tools, found.spec.metrics)
    elapsed = sum(sum(each.timings.values()) for each in trajectories)
    yield Text(f"\n{summary_text(trajectories, elapsed, None, found.spec.metrics)}")


def _report_table(found: Overview) -> RenderableType:
    from seal_env.report import result_tables as tables

    report: Any = found.report
    drawn = {
        "eval": lambda: tables.evaluation_table(report),
        "eval suite": lambda: tables.suite_table(report, (*report["parts"], *report["not_applicable"])),
        "train rest-em": lambda: tables.rest_em_table(report),
        "train grpo": lambda: tables.grpo_table(report),
        "reproduce": lambda: tables.reproduction_table(report),
        "reproduce continual": lambda: tables.continual_table(report),
    }
    try:
        return drawn[found.command]()
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"the result in {str(found.folder)!r} cannot be read: {error!r}") from error


def _episode(found: Overview, record: Any, console: Console) -> Iterator[RenderableType]:
    from seal_env.experiments.show import shown_task
    from seal_env.report.episode_view import episode_view
    from seal_env.report.task_tables import task_panels

    yield episode_view(record, found.spec.tools, tuple(found.spec.metrics))
    shown = shown_task(found, record)
    if shown is not None:
        yield ""
        yield task_panels(shown.task, found.spec, console, shown.domain, shown.answers)
