"""`seal-env reproduce`: the tables of the paper, and continual learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import click
from rich.console import Console

from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.cli.run import RESUMABLE, experiment, experiment_options, owners
from seal_env.cli.train import POLICY
from seal_env.experiments.reproduce.presets import TABLES, Table
from seal_env.experiments.settings import ContinualSettings, TableSettings

EXAMPLES = """\b
examples:
  the bundled model on generated tasks (hours on a CPU); resumable by the same command:
    seal-env reproduce arc --preset mini --out runs/arc-mini
  SEAL's own model, tasks and settings:
    seal-env reproduce arc --preset llama-1b --out runs/arc-llama-1b"""
CONTINUAL_ENVIRONMENT = "SEAL-Continual-v0"


@click.group(no_args_is_help=False)
def reproduce() -> None:
    """Measure the tables of the paper again."""


def _table_options(table: Table, chosen: Mapping[str, Any]) -> list[click.Parameter]:
    from seal_env.cli import environment

    first = next(iter(table.presets))
    known = "; ".join(f"{name}: {preset.summary}" for name, preset in table.presets.items())
    preset = table.presets[chosen.get("preset", first)]
    about = f"Tasks, models and settings (default: {first}). {known}."
    return [
        click.Option(["--preset"], type=click.Choice(list(table.presets)), default=first, metavar="NAME", help=about),
        *options_of(TableSettings, "Options"),
        *experiment_options(),
        *environment.settings_options(preset.environment),
        *environment.options_of_agents(POLICY, heading="Policy"),
    ]


@click.pass_context
def _table(context: click.Context, /, **values: Any) -> None:
    from seal_env.experiments.reproduce.table import Reproduction

    name = context.info_name or ""
    preset = TABLES[name].presets[values["preset"]]
    settings = TableSettings.checked(**given(values, TableSettings))
    train_set, held_out = values["subset"] or preset.train_set, settings.held_out or preset.held_out
    preset = replace(preset, train_set=train_set, held_out=held_out)
    config = experiment(values, preset.env, f"reproduce-{name}-{values['preset']}", POLICY)
    Reproduction(preset, settings.seeds, settings.rows, config, context.obj).run()


def _continual_options(chosen: Mapping[str, Any]) -> list[click.Parameter]:
    from seal_env.cli import environment

    agents = chosen.get("agents") or ",".join(ContinualSettings.model_fields["agents"].default)
    return [
        *options_of(ContinualSettings, "Options"),
        *experiment_options(),
        *environment.environment_options({"env": CONTINUAL_ENVIRONMENT, **chosen}),
        *environment.options_of_agents(*agents.split(",")),
    ]


@click.pass_obj
def _continual(console: Console, /, **values: Any) -> None:
    from seal_env.experiments.reproduce.continual import reproduce_continual

    settings = ContinualSettings.checked(**given(values, ContinualSettings))
    config = experiment(values, CONTINUAL_ENVIRONMENT, "reproduce-continual", *settings.agents)
    reproduce_continual(settings, config, console)


for name, table in TABLES.items():
    reproduce.add_command(
        SettingsCommand(
            name,
            callback=_table,
            options=partial(_table_options, table),
            deciding=("preset", "domain"),
            elsewhere=owners,
            help=f"{table.summary} {RESUMABLE}",
            short_help=table.summary,
            epilog=EXAMPLES,
        )
    )
reproduce.add_command(
    SettingsCommand(
        "continual",
        callback=_continual,
        options=_continual_options,
        deciding=("agents", "domain"),
        elsewhere=owners,
        help=f"Sequences of tasks learned one after another: how much of each is retained after every update. {RESUMABLE}",
        short_help="Continual self-adaptation.",
    )
)
