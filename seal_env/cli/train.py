"""`seal-env train rest-em` and `seal-env train grpo`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import click
from rich.console import Console

from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.cli.run import DECIDING, RESUMABLE, experiment, experiment_options, owners
from seal_env.options import Options

POLICY = "local_hf"
"""The agent whose options a trained policy has."""
EXAMPLES = """\b
examples:
  the bundled model learns to write its own self-edits:
    seal-env train rest-em --subset mini-train:40 --held-out mini-eval:40 --sft-learning-rate 1e-3 --out runs/rest-em
  resume after an interruption: rerun the same command"""


def _options(model: type[Options], heading: str, chosen: Mapping[str, Any]) -> list[click.Parameter]:
    from seal_env.cli import environment

    return [
        environment.env_option(sequences=False),
        click.Option(["--held-out"], metavar="SUBSET", help="Task set to measure on (default: the domain's held-out set)."),
        *experiment_options(),
        *options_of(model, heading),
        *environment.environment_options(chosen),
        *environment.options_of_agents(POLICY, heading="Policy"),
    ]


@click.group(no_args_is_help=False)
def train() -> None:
    """Train a policy to write self-edits."""


@click.pass_obj
def _rest_em(console: Console, /, **values: Any) -> None:
    from seal_env.experiments.train import train_rest_em

    config = experiment(values, values["env"], "rest-em", POLICY)
    train_rest_em(RestEmSettings.checked(**given(values, RestEmSettings)), values["held_out"], config, console)


@click.pass_obj
def _grpo(console: Console, /, **values: Any) -> None:
    from seal_env.experiments.train import train_grpo

    config = experiment(values, values["env"], "grpo", POLICY)
    train_grpo(GrpoSettings.checked(**given(values, GrpoSettings)), values["held_out"], config, console)


train.add_command(
    SettingsCommand(
        "rest-em",
        callback=_rest_em,
        options=partial(_options, RestEmSettings, "ReST-EM"),
        deciding=DECIDING,
        elsewhere=owners,
        help=f"ReST-EM: sample self-edits, filter by reward, fine-tune the policy on the rest, repeat. {RESUMABLE}",
        short_help="Learn from rewarded self-edits.",
        epilog=EXAMPLES,
    )
)
train.add_command(
    SettingsCommand(
        "grpo",
        callback=_grpo,
        options=partial(_options, GrpoSettings, "GRPO"),
        deciding=DECIDING,
        elsewhere=owners,
        help=f"GRPO (TRL): compare the rewards of several self-edits for each prompt. Needs seal-env[grpo]. {RESUMABLE}",
        short_help="Learn from rewards within a prompt.",
    )
)
