"""`seal-env run` and `seal-env eval`."""

from __future__ import annotations

from rich.console import Console

from seal_env.cli.announce import Count
from seal_env.cli.experiment import RESUMABLE, ExperimentCommand, Values, agent_option, env_option
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.settings import EvalSettings, RunSettings
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
  those of a served model:
    seal-env eval --agent openai_compatible \\
        --base-url http://127.0.0.1:8000/v1 --policy-model NAME"""


def _run(settings: RunSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.run import run

    trajectories = run(values["agent"], settings, config, console)
    return int(all(trajectory.truncated for trajectory in trajectories))


def _evaluate(settings: EvalSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
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
    own=lambda: [env_option(), agent_option()],
    folder=lambda values: f"eval-{values['agent']}",
    plan=_eval_plan,
    help="Measure an agent: several self-edits for each task, success rates with intervals, pass@k, cost. "
    f"{RESUMABLE}\n\n{CHOOSING}",
    short_help="Measure an agent.",
    epilog=EVAL_EXAMPLES,
)
