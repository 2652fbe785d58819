"""`seal-env run` and `seal-env eval`."""

from __future__ import annotations

import click
from rich.console import Console

from seal_env.cli.announce import Count
from seal_env.cli.experiment import RESUMABLE, ExperimentCommand, Values, agent_option, env_option
from seal_env.cli.options import given, options_of
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.settings import EvalSettings, RunSettings, SuiteSettings
from seal_env.experiments.suite.definition import load_suite
from seal_env.registration import environments
from seal_env.report.formats import plural

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
  the standard suite, for the leaderboard (minutes on two cores):
    seal-env eval --suite v1 --agent random
  those of a served model:
    seal-env eval --agent openai_compatible \\
        --base-url http://127.0.0.1:8000/v1 --policy-model NAME"""


def _run(settings: RunSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.run import run

    trajectories = run(values["agent"], settings, config, console)
    return int(all(trajectory.truncated for trajectory in trajectories))


def _evaluate(settings: EvalSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    chosen = SuiteSettings.checked(**given(values, SuiteSettings))
    if chosen.suite is not None:
        return _suite(chosen, config, values, console)
    for name, value in given(values, SuiteSettings).items():
        raise SettingError(name, value, "nothing without --suite")
    from seal_env.experiments.evaluate import evaluate

    report = evaluate(values["agent"], settings, config, console)
    return int(report["failed"] == report["samples"])


def _run_plan(settings: RunSettings, values: Values, count: Count) -> str:
    length = values["sequence"] or environments()[values["env"]].get("sequence", 1)
    of = f" of {length} tasks each" if length > 1 else ""
    return plural(settings.episodes or count(None) // length, "episode") + of


def _eval_plan(settings: EvalSettings, values: Values, count: Count) -> str:
    tasks = count(None)
    return (
        f"{plural(tasks, 'task')} x {plural(settings.samples, 'self-edit')} = {plural(tasks * settings.samples, 'update')}"
    )


def _suite(chosen: SuiteSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.suite.measure import refuse, run_suite

    named = click.get_current_context().get_parameter_source("env") is click.core.ParameterSource.COMMANDLINE
    for name, value in {**({"env": values["env"]} if named else {}), **given(values, EvalSettings)}.items():
        refuse(str(chosen.suite), name, value)
    entry = run_suite(values["agent"], chosen, config, console)
    asked = chosen.parts or load_suite(str(chosen.suite)).parts
    return int(len(entry["parts"]) + len(entry["not_applicable"]) < len(asked))


run = ExperimentCommand(
    "run",
    _run,
    RunSettings,
    own=lambda: [env_option(sequences=True), agent_option()],
    folder=lambda values: str(values["agent"]),
    plan=_run_plan,
    tracks=False,
    help="Run an agent on tasks, one self-edit and one real weight update for each episode, and record them. "
    f"{RESUMABLE}\n\n{CHOOSING}",
    short_help="Run an agent on tasks and record the episodes.",
    epilog=RUN_EXAMPLES,
)
evaluate = ExperimentCommand(
    "eval",
    _evaluate,
    EvalSettings,
    own=lambda: [env_option(), agent_option(), *options_of(SuiteSettings, "Standard suite")],
    folder=lambda values: f"{values['suite'] or 'eval'}-{values['agent']}",
    plan=_eval_plan,
    announces=lambda values: not values["suite"],
    help="Measure an agent: several self-edits for each task, success rates with intervals, pass@k, cost. "
    f"{RESUMABLE}\n\n{CHOOSING}",
    short_help="Measure an agent.",
    epilog=EVAL_EXAMPLES,
)
