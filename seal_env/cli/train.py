"""`seal-env train rest-em` and `seal-env train grpo`."""

from __future__ import annotations

import click
from rich.console import Console

from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.cli.announce import Count
from seal_env.cli.completion import completer
from seal_env.cli.experiment import RESUMABLE, ExperimentCommand, Values, env_option
from seal_env.domains.registry import DEFAULT_DOMAIN, get_domain
from seal_env.experiments.config import ExperimentConfig
from seal_env.registration import environments
from seal_env.report.formats import plural

POLICY = ("local_hf",)
"""The agent whose options a trained policy has."""
EXAMPLES = """\b
examples:
  the bundled model learns to write its own self-edits:
    seal-env train rest-em --subset mini-train:40 --held-out mini-eval:40 \\
        --sft-learning-rate 1e-3 --out runs/rest-em
  resume after an interruption: rerun the same command"""


@click.group(no_args_is_help=True)
def train() -> None:
    """Train a policy to write self-edits."""


def _own() -> list[click.Parameter]:
    text = "Task set to measure on (default: the domain's held-out set)."
    return [env_option(), click.Option(["--held-out"], metavar="SUBSET", help=text, shell_complete=completer("held_out"))]


def _rest_em(settings: RestEmSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.train import train_rest_em

    train_rest_em(settings, values["held_out"], config, console)
    return 0


def _grpo(settings: GrpoSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.train import train_grpo

    train_grpo(settings, values["held_out"], config, console)
    return 0


def _rest_em_plan(settings: RestEmSettings, values: Values, count: Count) -> str:
    tasks, held_out = count(None), count(_held_out(values))
    learned = f"{plural(settings.rounds, 'round')} of {plural(tasks, 'task')} x {plural(settings.samples, 'self-edit')}"
    measured = f"{settings.rounds + 1} measurements on {_measured(held_out, settings.eval_samples)}"
    total = settings.rounds * tasks * settings.samples + (settings.rounds + 1) * held_out * settings.eval_samples
    return f"{learned}, {measured}: {plural(total, 'update')}"


def _grpo_plan(settings: GrpoSettings, values: Values, count: Count) -> str:
    count_of = "1 batch" if settings.steps == 1 else f"{settings.steps} batches"
    batches = f"{count_of} of {plural(settings.prompts, 'task')} x {plural(settings.samples, 'self-edit')}"
    measured = f"2 measurements on {_measured(count(_held_out(values)), settings.eval_samples)}"
    return f"{batches}, {plural(settings.steps * settings.iterations, 'optimizer step')}, {measured}"


def _measured(tasks: int, samples: int) -> str:
    return f"{plural(tasks, 'held-out task')} x {plural(samples, 'self-edit')}"


def _held_out(values: Values) -> str:
    domain = values["domain"] or environments()[values["env"]].get("domain", DEFAULT_DOMAIN)
    return str(values["held_out"] or get_domain(domain).held_out)


train.add_command(
    ExperimentCommand(
        "rest-em",
        _rest_em,
        RestEmSettings,
        own=_own,
        agents=lambda values: POLICY,
        heading="Policy",
        folder=lambda values: "rest-em",
        plan=_rest_em_plan,
        help=f"ReST-EM: sample self-edits, filter by reward, fine-tune the policy on the rest, repeat. {RESUMABLE}",
        short_help="Learn from rewarded self-edits.",
        epilog=EXAMPLES,
    )
)
train.add_command(
    ExperimentCommand(
        "grpo",
        _grpo,
        GrpoSettings,
        own=_own,
        agents=lambda values: POLICY,
        heading="Policy",
        folder=lambda values: "grpo",
        plan=_grpo_plan,
        help=f"GRPO (TRL): compare the rewards of several self-edits for each prompt. Needs seal-env[grpo]. {RESUMABLE}",
        short_help="Learn from rewards within a prompt.",
    )
)
