"""`seal-env reproduce`: the tables of the paper, and continual learning."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import click
from rich.console import Console

from seal_env.cli.announce import Count
from seal_env.cli.experiment import RESUMABLE, ExperimentCommand, Values
from seal_env.cli.train import POLICY
from seal_env.domains.registry import get_domain
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.reproduce.presets import TABLES, Preset, Table
from seal_env.experiments.settings import ContinualSettings, TableSettings
from seal_env.registration import environments
from seal_env.report.formats import plural

CONTINUAL: Final = "SEAL-Continual-v0"

EXAMPLES = """\b
examples:
  the bundled model on generated tasks (hours on a CPU; resumable):
    seal-env reproduce arc --preset mini --out runs/arc-mini
  SEAL's own model, tasks and settings:
    seal-env reproduce arc --preset llama-1b --out runs/arc-llama-1b"""


@click.group(no_args_is_help=True)
def reproduce() -> None:
    """Measure the tables of the paper again."""


def _table_command(name: str, table: Table) -> ExperimentCommand:
    first = next(iter(table.presets))

    def preset_of(values: Values) -> Preset:
        return table.presets[values.get("preset", first)]

    def own() -> list[click.Parameter]:
        known = "; ".join(f"{name}: {preset.summary}" for name, preset in table.presets.items())
        text = f"Tasks, models and settings (default: {first}). {known}."
        return [click.Option(["--preset"], type=click.Choice(list(table.presets)), default=first, metavar="NAME", help=text)]

    def run(settings: TableSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
        from seal_env.experiments.reproduce.table import Reproduction

        preset = preset_of(values)
        train_set, held_out = values["subset"] or preset.train_set, settings.held_out or preset.held_out
        preset = replace(preset, train_set=train_set, held_out=held_out)
        Reproduction(preset, settings.seeds, settings.rows, config, console, settings.allow_overlap).run()
        return 0

    def plan(settings: TableSettings, values: Values, count: Count) -> str:
        preset = preset_of(values)
        rows = [row for row in preset.rows if settings.rows is None or row in settings.rows]
        held_out = settings.held_out or preset.held_out
        measured = f"measured on {plural(count(held_out), 'task')} of {held_out}"
        parts = f"{plural(settings.seeds, 'seed')} x {plural(len(rows), 'row')} ({', '.join(rows)})"
        return f"{parts}, {measured}; {preset.summary}"

    return ExperimentCommand(
        name,
        run,
        TableSettings,
        own=own,
        env=lambda values: preset_of(values).env,
        overrides=lambda values: {**preset_of(values).overrides, "subset": preset_of(values).train_set},
        agents=lambda values: POLICY,
        heading="Policy",
        folder=lambda values: f"reproduce-{name}-{values['preset']}",
        plan=plan,
        help=f"{table.summary} {RESUMABLE}",
        short_help=table.summary,
        epilog=EXAMPLES,
    )


def _continual(settings: ContinualSettings, config: ExperimentConfig, values: Values, console: Console) -> int:
    from seal_env.experiments.reproduce.continual import reproduce_continual

    reproduce_continual(settings, config, console)
    return 0


def _held_out(values: Values) -> Values:
    """The tasks that sequences are made of, unless others are named."""
    try:
        return {"subset": get_domain(values.get("domain") or environments()[CONTINUAL]["domain"]).held_out}
    except SettingError:  # reported when the environment is made
        return {}


def _agents(values: Values) -> list[str]:
    named = values.get("agents")
    return named.split(",") if named else list(ContinualSettings().agents)


def _continual_plan(settings: ContinualSettings, values: Values, count: Count) -> str:
    agents = f"{plural(len(settings.agents), 'agent')} ({', '.join(settings.agents)})"
    length = values["sequence"] or environments()[CONTINUAL]["sequence"]
    return f"{agents} x {plural(settings.sequences, 'sequence')} of {plural(length, 'task')}"


for name, table in TABLES.items():
    reproduce.add_command(_table_command(name, table))
reproduce.add_command(
    ExperimentCommand(
        "continual",
        _continual,
        ContinualSettings,
        env=lambda values: CONTINUAL,
        overrides=_held_out,
        agents=_agents,
        folder=lambda values: "reproduce-continual",
        plan=_continual_plan,
        help=f"Sequences of tasks learned one after another: how much of each is retained after every update. {RESUMABLE}",
        short_help="Continual self-adaptation.",
    )
)
