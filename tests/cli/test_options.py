"""Options made from the settings of the environment and the agent."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import click
import pytest

from seal_env.agents.baselines.random_agent import RandomAgent
from seal_env.agents.registry import agent_options
from seal_env.cli import commands
from seal_env.domains import registry
from seal_env.domains.arc import ARC
from seal_env.domains.base import DomainOptions
from seal_env.domains.registry import domains
from seal_env.options import Options
from seal_env.settings import Settings
from tests.helpers.cli import Call


def helps(name: str, *arguments: str) -> dict[str, str]:
    """Option -> help text of a command, given the options that decide which others there are."""
    command = commands.commands[name]
    with command.make_context(name, list(arguments), resilient_parsing=True) as context:
        options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
        return {flag: option.help or "" for option in options for flag in option.opts}


@pytest.mark.parametrize("domain", domains())
def test_every_setting_of_the_environment_is_an_option_with_help(domain: str) -> None:
    found = helps("run", "--domain", domain)
    for name in {*Settings.model_fields, *domains()[domain].options.model_fields} - {"options"}:
        assert len(found[f"--{name.replace('_', '-')}"]) > 20


@pytest.mark.parametrize("agent", agent_options())
def test_every_setting_of_an_agent_is_an_option_with_help(agent: str) -> None:
    found = helps("eval", f"--agent={agent}")
    for name in agent_options()[agent].model_fields:
        assert len(found[f"--{name.replace('_', '-')}"]) > 10


class Patience(Options):
    patience: int = 3
    """Episodes before the agent gives up."""
    hasty: bool = False
    """Give up at once."""


class MadeUp(RandomAgent):
    """An agent of another package."""

    options = Patience


def test_settings_of_an_agent_from_outside_are_options_by_themselves(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "made_up", SimpleNamespace(MadeUp=MadeUp))
    shown = seal_env("run", "--agent", "made_up:MadeUp", "--help").out
    assert "--patience INTEGER" in shown
    assert "--hasty / --no-hasty" in shown
    assert seal_env("run", "--agent", "made_up:MadeUp", "--patience", "few").code == 2


class ChessOptions(DomainOptions):
    board: int = 8
    """Squares on a side."""


def test_settings_of_a_domain_from_outside_are_options_by_themselves(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    chess = replace(ARC, name="chess", options=ChessOptions, environments={"Chess-v0": {"subset": "mini-eval"}})
    monkeypatch.setitem(registry._KNOWN, "chess", chess)
    shown = seal_env("run", "--env", "Chess-v0", "--help").out
    assert "Domain chess:" in shown
    assert "--board INTEGER" in shown
    assert "--grid-format" not in shown
    assert seal_env("tools", "--domain", "chess").code == 0
    assert "chess" in seal_env("tasks", "list").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "--help"),
        ("serve", "--help"),
        ("tasks", "validate", "--help"),
        ("card", "--help"),
        ("doctor", "--help"),
    ],
)
def test_help_fits_in_80_columns(seal_env: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = seal_env(*arguments)
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 80
    assert "None" not in said.out


@pytest.mark.parametrize("command", ["eval", "play"])
def test_an_environment_of_sequences_is_sent_to_the_commands_that_run_them(seal_env: Call, command: str) -> None:
    said = seal_env(command, "--env", "SEAL-Continual-v0")
    assert (said.code, "`seal-env run` and `seal-env reproduce continual`" in said.err) == (2, True)
    assert "is not one of 'SEAL-ARC-v0'" in seal_env(command, "--env", "SEAL-None-v0").err
