"""`seal-env run` and `seal-env eval`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.experiments.settings import EvalSettings, RunSettings
from seal_env.report.tracker import SERVICES

if TYPE_CHECKING:
    from seal_env.experiments.config import ExperimentConfig

DECIDING = ("env", "domain", "agent")
"""Options that decide which others there are."""
RESUMABLE = "Resumable: rerun the same command."
CHOOSING = "The settings depend on --env and --agent: put these before --help to see theirs."
RUN_EXAMPLES = """\b
examples:
  random self-edits on the 12 tasks of seal-train:
    seal-env run
  the default self-edit on one task:
    seal-env run --subset 5582e5ca --agent fixed
  in-context learning on 20 generated tasks, without any update:
    seal-env run --subset mini-eval:20 --agent none
  passages learned without texts about them:
    seal-env run --env SEAL-Knowledge-v0 --agent passage_only
  your self-edit on another model:
    seal-env run --agent fixed --self-edit my-edit.json --model path/to/model"""
EVAL_EXAMPLES = """\b
examples:
  random self-edits, five for each of 20 generated tasks:
    seal-env eval --subset mini-eval:20 --agent random
  self-edits that seal-tiny writes itself:
    seal-env eval --subset mini-eval:20 --agent local_hf
  those of a served model:
    seal-env eval --agent openai_compatible --base-url http://127.0.0.1:8000/v1 --policy-model NAME"""


def owners(option: str) -> str | None:
    """Which domain or agent has an option, in words; None if none has."""
    from seal_env.cli import environment

    return environment.owners(option)


def _run_options(chosen: Mapping[str, Any]) -> list[click.Parameter]:
    from seal_env.cli import environment

    return [
        environment.env_option(),
        environment.agent_option(),
        *options_of(RunSettings, "Options"),
        click.Option(["--out"], type=Path, metavar="DIR", help="A new run folder (default: runs/DATE-TIME-AGENT)."),
        *environment.environment_options(chosen),
        *environment.options_of_agents(chosen.get("agent", environment.DEFAULT_AGENT)),
    ]


def _eval_options(chosen: Mapping[str, Any]) -> list[click.Parameter]:
    from seal_env.cli import environment

    return [
        environment.env_option(sequences=False),
        environment.agent_option(),
        *options_of(EvalSettings, "Options"),
        *experiment_options(),
        *environment.environment_options(chosen),
        *environment.options_of_agents(chosen.get("agent", environment.DEFAULT_AGENT)),
    ]


def experiment_options() -> list[click.Parameter]:
    """The options of every command whose run folder can be resumed."""
    return [
        click.Option(["--out"], type=Path, metavar="DIR", help="Run folder; an existing run is resumed."),
        click.Option(["--track"], multiple=True, type=click.Choice(SERVICES), help="Report metrics to this service too."),
    ]


def experiment(values: Mapping[str, Any], env: str, name: str, *agents: str) -> ExperimentConfig:
    """The experiment that a command line describes.

    Args:
        values: The values of all options.
        env: Gymnasium id of the environment.
        name: Of the command, for the default run folder.
        agents: The agents whose options are read.
    """
    from seal_env.cli import environment
    from seal_env.experiments.config import ExperimentConfig

    return ExperimentConfig(
        env,
        environment.given_settings(values),
        environment.given_agent_options(values, *agents),
        values["out"] or new_folder(name),
        values.get("track", ()),
    )


@click.pass_obj
def _run(console: Console, /, **values: Any) -> int:
    from seal_env.experiments.run import run

    agent = values["agent"]
    trajectories = run(
        agent, RunSettings.checked(**given(values, RunSettings)), experiment(values, values["env"], agent, agent), console
    )
    return int(all(trajectory.truncated for trajectory in trajectories))


@click.pass_obj
def _evaluate(console: Console, /, **values: Any) -> int:
    from seal_env.experiments.evaluate import evaluate

    agent = values["agent"]
    config = experiment(values, values["env"], f"eval-{agent}", agent)
    report = evaluate(agent, EvalSettings.checked(**given(values, EvalSettings)), config, console)
    return int(report["failed"] == report["samples"])


run = SettingsCommand(
    "run",
    callback=_run,
    options=_run_options,
    deciding=DECIDING,
    elsewhere=owners,
    help=f"Run an agent on tasks, one self-edit and one real weight update for each episode, and record them.\n\n{CHOOSING}",
    short_help="Run an agent on tasks and record the episodes.",
    epilog=RUN_EXAMPLES,
)
evaluate = SettingsCommand(
    "eval",
    callback=_evaluate,
    options=_eval_options,
    deciding=DECIDING,
    elsewhere=owners,
    help=f"Measure an agent: several self-edits for each task, success rates with intervals, pass@k, cost. {RESUMABLE}"
    f"\n\n{CHOOSING}",
    short_help="Measure an agent.",
    epilog=EVAL_EXAMPLES,
)


def new_folder(name: str) -> Path:
    """A folder below `runs` that does not exist: DATE-TIME-NAME, or with -2, -3 ... for runs of the same second."""
    stem, number = f"{datetime.now():%Y%m%d-%H%M%S}-{name.replace(':', '-')}", 1
    while os.path.lexists(path := Path("runs") / (stem if number == 1 else f"{stem}-{number}")):
        number += 1
    return path
