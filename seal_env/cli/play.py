"""`seal-env play`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seal_env.cli.completion import completer
from seal_env.cli.experiment import (
    chosen_env,
    chosen_settings,
    env_option,
    environment_options,
    given_settings,
    text_or_file,
)
from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.domains.registry import get_domain
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.settings import PlaySettings
from seal_env.report.terminal import Terminal

if TYPE_CHECKING:
    from seal_env.experiments.play import Game

EXAMPLES = """\b
examples:
  a small task of grids, from a seeded order:
    seal-env play --env SEAL-ARC-Mini-v0 --seed 3
  a task by its id, recorded in a run folder for each player:
    seal-env play --task 5614dbcf --out runs/game
  a self-edit from a file, without questions:
    seal-env play --task 5614dbcf < my-edit.json"""
NO_QUIET = "--quiet would hide the task: it needs a self-edit as JSON on standard input, or by --self-edit"
NO_INPUT = "there is no terminal to ask in: give a self-edit as JSON on standard input, or by --self-edit"


class _Written:
    """A player with a self-edit that is written already."""

    def __init__(self, self_edit: str) -> None:
        self._self_edit = self_edit

    def write(self, game: Game) -> str:
        """The self-edit."""
        from seal_env.experiments.run import check_self_edit

        check_self_edit(self._self_edit, game.seal.runtime)
        return self._self_edit

    def again(self) -> bool:
        """No."""
        return False


class _Asked:
    """A person at the terminal."""

    def __init__(self, console: Terminal) -> None:
        self._console = console

    def write(self, game: Game) -> str:
        """Fill in the form."""
        from seal_env.cli.form import SelfEditForm

        def say(line: str) -> None:
            self._console.print(line)

        form = SelfEditForm(game.seal.tools, say, width=self._console.width)
        return form.fill_in(game.show_task, game.problem_of)

    def again(self) -> bool:
        """Ask."""
        from seal_env.cli.form import yes

        return yes("Write another self-edit for this task? ")


def _options(values: Mapping[str, Any]) -> Sequence[click.Parameter]:
    own = [
        click.Option(
            ["--self-edit"],
            metavar="JSON|FILE",
            help="A self-edit instead of questions: JSON, or a file with it.",
            shell_complete=completer("self_edit"),
        ),
        click.Option(
            ["--out"],
            type=Path,
            metavar="DIR",
            help="Record the episodes: a run folder for each player in this one.",
            shell_complete=completer("out"),
        ),
    ]
    return [
        env_option(),
        *options_of(PlaySettings, "Options"),
        *own,
        *environment_options(chosen_settings(values, chosen_env(values))),
    ]


@click.pass_obj
def _play(console: Terminal, /, **values: Any) -> int:
    settings = PlaySettings.checked(**given(values, PlaySettings))
    player: Any
    if values["self_edit"] is not None:
        player = _Written(text_or_file(values["self_edit"]))
    elif sys.stdin.isatty() and sys.stderr.isatty():
        if console.quiet:
            raise click.UsageError(NO_QUIET, click.get_current_context())
        player = _Asked(console)
    elif written := sys.stdin.read().strip():
        player = _Written(written)
    else:
        raise click.UsageError(NO_INPUT, click.get_current_context())
    from seal_env.experiments.play import play as play_game
    from seal_env.report.play_table import play_table

    out = values["out"]
    config = ExperimentConfig(chosen_env(values), given_settings(values), {}, out or Path())
    try:
        result = play_game(settings, config, player, console, out.expanduser() if out else None)
    except EOFError:
        console.print("left before the first self-edit")
        console.show({"environment": config.env, "scores": []})
        return 0
    console.show(result, play_table(result, get_domain(config.environment["domain"]).tools))
    if out:
        console.print(f"\nwritten   {out}", soft_wrap=True)
    return 0


play = SettingsCommand(
    "play",
    callback=_play,
    options=_options,
    deciding=("env", "domain"),
    help="Write self-edits yourself: a form asks for the arguments of each tool, the update trains before your eyes, and "
    "agents try the same task with the same seed, as often as you did.",
    short_help="Write self-edits yourself, against agents.",
    epilog=EXAMPLES,
)
