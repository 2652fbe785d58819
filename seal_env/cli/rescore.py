"""`seal-env rescore`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from seal_env.cli.completion import completer, run_folders
from seal_env.errors import SettingError
from seal_env.report.terminal import Terminal

EXAMPLES = """\b
examples:
  a run on passages, graded by rules instead of exact match:
    seal-env rescore runs/my-run --grader lexical
  the gain as its reward, and a judge as its grader:
    seal-env rescore runs/my-run --reward gain --grader judge \\
        --grader-url http://127.0.0.1:8000/v1
  a reward function of your own:
    seal-env rescore runs/my-run --reward my_package.rewards:shaped"""
EPISODES = "episodes"
FUNCTION = "or a function as package.module:function"


@click.command(epilog=EXAMPLES)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path), shell_complete=run_folders)
@click.option(
    "--grader",
    metavar="NAME",
    help=f"What decides whether an answer is right: a grader, {FUNCTION}.",
    shell_complete=completer("grader"),
)
@click.option("--reward", metavar="NAME", help=f"The reward: a name, {FUNCTION}.", shell_complete=completer("reward"))
@click.option("--reward-over", metavar="NAME", help="Of sequences: seen, new or change.")
@click.option("--grader-model", metavar="NAME", help="The judge's name at its server.")
@click.option("--grader-url", metavar="URL", help="Address of the judge's server.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="A new JSON file (default: RUN-rescored.json).")
@click.option("--other-version", is_flag=True, help="Take a run that another version of seal-env recorded.")
@click.pass_obj
def rescore(console: Terminal, /, folder: Path, out: Path | None, other_version: bool, **changes: str | None) -> None:
    """Score the stored episodes of a run again, by another grader or another reward.

    RUN is a folder of `run`, `eval` or `train`, which stays as it is. Nothing is trained: the answers on record are graded.
    Where a setting is not given, the run's own is taken.
    """
    from seal_env.experiments.rescore import Changes
    from seal_env.experiments.rescore import rescore as score_again
    from seal_env.report.progress import Progress
    from seal_env.report.rescore_tables import rescore_tables
    from seal_env.report.work import Work

    given: dict[str, Any] = {name: _function_or_name(name, value) for name, value in changes.items()}
    arguments = folder.expanduser(), Changes(**given), out.expanduser() if out else None, other_version
    console.print("begin     the answers on record are graded again; nothing is trained")
    work = Work({EPISODES: 0})
    with Progress(console, work, EPISODES) as progress:

        def report(done: int, total: int) -> None:
            if progress.begun:
                progress.reach(done)
            else:
                work.units[EPISODES] = total
                progress.begin(EPISODES, "scoring", total)

        result = score_again(*arguments, report)
    console.show(result, rescore_tables(result))


def _function_or_name(field: str, value: str | None) -> Any:
    """A function that is given as package.module:function. Raises SettingError if it cannot be imported."""
    if value is None or ":" not in value or field not in ("grader", "reward"):
        return value
    module, _, name = value.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(field, value, f"{FUNCTION.removeprefix('or ')} that can be imported ({error})") from error
