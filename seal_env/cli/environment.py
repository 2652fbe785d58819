"""Options of an environment and of an agent, made from the settings of whichever were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from seal_env.agents.registry import agent_options, agents, get_agent
from seal_env.cli.options import given, options_of
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain
from seal_env.errors import SettingError
from seal_env.options import Options
from seal_env.registration import environments
from seal_env.settings import Settings

DEFAULT_ENVIRONMENT: Final = "SEAL-ARC-v0"
DEFAULT_AGENT: Final = "random"
_UPDATE: Final = frozenset(
    {
        "inner_loop",
        "profile",
        "evaluator",
        "evaluator_url",
        "evaluator_model",
        "decode",
        "method",
        "default_learning_rate",
        "default_num_epochs",
        "learn_end",
        "max_steps",
        "max_examples",
        "max_tokens",
        "batch_size",
        "lora_rank",
        "lora_alpha",
        "lora_targets",
        "save_adapters",
        "cache",
        "cache_file",
    }
)
"""Shared settings that `--help` lists apart, below the heading of the weight update."""
_NO_OPTION: Final = ("options",)


def env_option(sequences: bool = True) -> click.Option:
    """`--env`. sequences: offer environments whose episodes are sequences of tasks too, which outer loops cannot sample."""
    ids = [name for name, settings in environments().items() if sequences or settings.get("sequence", 1) == 1]
    text = f"The environment; decides which settings there are (default: {DEFAULT_ENVIRONMENT})"
    help_text = f"{text}: {', '.join(ids)}"
    return click.Option(["--env"], type=click.Choice(ids), default=DEFAULT_ENVIRONMENT, metavar="ID", help=help_text)


def agent_option() -> click.Option:
    """`--agent`."""
    known = "; ".join(f"{name}: {spec.summary}" for name, spec in agents().items())
    text = f"The agent, or package.module:Class; decides which settings there are (default: {DEFAULT_AGENT}). {known}"
    return click.Option(["--agent"], default=DEFAULT_AGENT, metavar="NAME", help=text)


def environment_options(chosen: Mapping[str, Any]) -> list[click.Parameter]:
    """An option for each shared setting and for each of the domain.

    Args:
        chosen: Values of the deciding options `env` and `domain`, where they were given.
    """
    named = environments().get(chosen.get("env", DEFAULT_ENVIRONMENT), {})
    settings = {**named, **{name: chosen[name] for name in ("domain",) if name in chosen}}
    return settings_options(settings)


def settings_options(settings: Mapping[str, Any]) -> list[click.Parameter]:
    """The options of an environment with these settings, which `--help` shows as the defaults."""
    try:
        domain = get_domain(settings.get("domain", DEFAULT_DOMAIN))
        defaults = Settings.resolve(**settings).flat()
    except SettingError:  # reported when the environment is made
        domain, defaults = get_domain(DEFAULT_DOMAIN), {}
    group = {True: "Weight update", False: "Environment"}
    shared = options_of(Settings, lambda name: group[name in _UPDATE], defaults, _NO_OPTION)
    return [*shared, *options_of(domain.options, f"Domain {domain.name}", defaults)]


def options_of_agents(*names: str, heading: str | None = None) -> list[click.Parameter]:
    """An option for each setting of one of these agents; names that are not known have none. heading: in `--help`."""
    made: dict[str | None, click.Parameter] = {}
    for name in names:
        try:
            options = get_agent(name).options
        except SettingError:  # reported when the agent is made
            continue
        for option in options_of(options, heading or f"Agent {name}"):
            made.setdefault(option.name, option)
    return list(made.values())


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the environment that were given."""
    models: list[type[Options]] = [Settings, *(spec.options for spec in domains().values())]
    return {name: value for model in models for name, value in given(values, model).items() if name not in _NO_OPTION}


def given_agent_options(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The settings of these agents that were given; a self-edit in a file is read.

    Raises:
        SettingError: For an unknown agent, or a file that cannot be read.
    """
    found = {name: value for agent in names for name, value in given(values, get_agent(agent).options).items()}
    return found | {"self_edit": text_or_file(found["self_edit"])} if "self_edit" in found else found


def owners(option: str) -> str | None:
    """Which domain or agent has an option, in words; None if none has."""
    name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
    found = [f"the domain {spec.name!r}" for spec in domains().values() if name in spec.options.model_fields]
    found += [f"the agent {agent!r}" for agent, model in agent_options().items() if name in model.model_fields]
    return f"an option of {' and '.join(found)}" if found else None


def text_or_file(value: str) -> str:
    """A JSON text as it is; anything else is a file with one.

    Raises:
        SettingError: If the file cannot be read.
    """
    if value.lstrip().startswith(("{", "[")):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError("self_edit", value, f"a JSON text or a readable file ({reason})") from error
