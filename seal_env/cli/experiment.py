"""The commands that run experiments: their options come from the settings of the chosen environment, agent and command."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from seal_env.agents.registry import agent_options, agents, get_agent
from seal_env.cli.announce import Plan, announce
from seal_env.cli.completion import completer
from seal_env.cli.options import SettingsCommand, given, options_of
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.open_run import new_path
from seal_env.options import Options
from seal_env.registration import environments
from seal_env.report.services import SERVICES, check_installed
from seal_env.settings import Settings
from seal_env.thoughts import WHITE_SPACE

DEFAULT_ENVIRONMENT: Final = "SEAL-ARC-v0"
DEFAULT_AGENT: Final = "random"
SEQUENCES: Final = "Sequences of tasks are for `seal-env run` and `seal-env reproduce continual`"
RESUMABLE: Final = "Resumable: rerun the same command."
PROGRAM: Final = "seal-env"
ARGUMENTS: Final = "seal_env.cli.arguments"
"""Where the context of click has the arguments of the process."""
TRACK_HELP: Final = "Report metrics to this service too. TensorBoard files are written wherever TensorBoard is installed."
Values = Mapping[str, Any]
"""Options by name."""
_DECIDING: Final = ("env", "domain", "agent", "agents", "preset")
_ENVIRONMENT: Final = frozenset(
    ("domain", "subset", "tools", "model", "device", "reward", "sequence", "reward_over", "invalid_reward", "max_turns")
)
"""Shared settings that `--help` lists apart from those of the weight update."""
_NO_OPTION: Final = ("options",)


def chosen_env(values: Values) -> str:
    """The id that `--env` names."""
    return str(values.get("env", DEFAULT_ENVIRONMENT))


def chosen_settings(values: Values, env: str, **overrides: Any) -> dict[str, Any]:
    """The settings of an environment, with these overrides and the domain that `--domain` names."""
    domain = {"domain": values["domain"]} if "domain" in values else {}
    return {**environments().get(env, {}), **overrides, **domain}


def chosen_agent(values: Values) -> Sequence[str]:
    """The agent that `--agent` names."""
    return (values.get("agent", DEFAULT_AGENT),)


def own_agent(values: Values) -> Sequence[str]:
    """The agent that `--agent` names; none of a command without that option."""
    return (values["agent"],) if "agent" in values else ()


class ExperimentCommand(SettingsCommand):
    """A command that runs an experiment in a run folder.

    Args:
        name: Of the command.
        run: (settings, experiment, values of all options, console) -> exit code.
        settings: The command's own settings.
        own: Options beside those of the settings.
        env: (values) -> the environment's id; the values may be those of the deciding options alone.
        overrides: (values) -> settings of the environment that the command gives itself.
        agents: (values) -> the agents whose settings are options.
        heading: Of the agents' options in `--help`; None is one with the agent's name.
        folder: (values) -> name of the default run folder.
        plan: What the command will do, in words.
        announces: (values) -> whether that is said before the command runs.
        tracks: Whether metrics over time are tracked.
        kwargs: Of click.Command.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Any, ExperimentConfig, Values, Console], int],
        settings: type[Options],
        *,
        own: Callable[[], Sequence[click.Parameter]] = list,
        env: Callable[[Values], str] = chosen_env,
        overrides: Callable[[Values], Values] = lambda values: {},
        agents: Callable[[Values], Sequence[str]] = chosen_agent,
        heading: str | None = None,
        folder: Callable[[Values], str],
        plan: Plan,
        announces: Callable[[Values], bool] = lambda values: True,
        tracks: bool = True,
        **kwargs: Any,
    ) -> None:
        def options(values: Values) -> list[click.Parameter]:
            return [
                *own(),
                *options_of(settings, "Options"),
                *_folder_options(tracks),
                *environment_options(chosen_settings(values, env(values), **overrides(values))),
                *_agent_options(agents(values), heading),
            ]

        @click.pass_obj
        def callback(console: Console, /, **values: Any) -> int:
            named = values["out"]
            config = ExperimentConfig(
                env(values),
                given_settings(values),
                _given_agent_options(values, agents(values)),
                named.expanduser() if named else new_path(folder(values)),
                values.get("track", ()),
                named=named is not None,
                command=command_line(),
            )
            check_installed(values.get("track", ()))
            checked = settings.checked(**given(values, settings))
            environment = {**config.environment, **overrides(values), **config.overrides}
            title = " ".join((*click.get_current_context().command_path.split()[1:], *own_agent(values)))
            if announces(values):
                announce(console, title, config, environment, lambda count: plan(checked, values, count))
            return run(checked, config, values, console)

        super().__init__(name, callback=callback, options=options, deciding=_DECIDING, elsewhere=_owners, **kwargs)


class _EnvironmentIds(click.Choice[str]):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in environments() and value not in self.choices:
            self.fail(f"{value!r} is not for this command. {SEQUENCES}.", param, ctx)
        return super().convert(value, param, ctx)


def env_option(sequences: bool = False) -> click.Option:
    """`--env`. sequences: offer environments whose episodes are sequences of tasks too."""
    ids = [name for name, settings in environments().items() if sequences or settings.get("sequence", 1) == 1]
    text = f"The environment; decides which settings there are (default: {DEFAULT_ENVIRONMENT}): {', '.join(ids)}."
    if not sequences:
        text += f" {SEQUENCES}."
    return click.Option(["--env"], type=_EnvironmentIds(ids), default=DEFAULT_ENVIRONMENT, metavar="ID", help=text)


def agent_option() -> click.Option:
    """`--agent`."""
    known = "; ".join(f"{name}: {spec.summary}" for name, spec in agents().items())
    text = f"The agent, or package.module:Class; decides which settings there are (default: {DEFAULT_AGENT}). {known}."
    agent = completer("agent")
    return click.Option(["--agent"], default=DEFAULT_AGENT, metavar="NAME", help=text, shell_complete=agent)


def _folder_options(tracks: bool) -> list[click.Parameter]:
    text = (
        "Run folder; an unfinished run in it is resumed (default: the newest unfinished one in runs/ with the same settings,"
    )
    text += " or else runs/DATE-TIME-NAME, a new one)."
    folder = click.Option(["--out"], type=Path, metavar="DIR", help=text, shell_complete=completer("out"))
    services = click.Option(
        ["--track"],
        multiple=True,
        type=click.Choice(SERVICES),
        help=TRACK_HELP,
    )
    return [folder, services] if tracks else [folder]


def environment_options(settings: Values) -> list[click.Parameter]:
    """An option for each shared setting and for each of the domain; what these settings resolve to are the defaults."""
    try:
        domain = get_domain(settings.get("domain", DEFAULT_DOMAIN))
        defaults = Settings.resolve(**settings).flat()
    except SettingError:  # reported when the environment is made
        domain, defaults = get_domain(DEFAULT_DOMAIN), {}
    group = {True: "Environment", False: "Weight update"}
    shared = options_of(Settings, lambda name: group[name in _ENVIRONMENT], defaults, _NO_OPTION)
    return [*shared, *options_of(domain.options, f"Domain {domain.name}", defaults)]


def _agent_options(names: Sequence[str], heading: str | None) -> list[click.Parameter]:
    """An option for each setting of one of these agents; names that are not known have none."""
    made: dict[str | None, click.Parameter] = {}
    for name in names:
        try:
            options = get_agent(name).options
        except SettingError:  # reported when the agent is made
            continue
        for option in options_of(options, heading or f"Agent {name}"):
            made.setdefault(option.name, option)
    return list(made.values())


def given_settings(values: Values) -> dict[str, Any]:
    """The settings of the environment whose options were given."""
    models: list[type[Options]] = [Settings, *(spec.options for spec in domains().values())]
    return {name: value for model in models for name, value in given(values, model).items() if name not in _NO_OPTION}


def _given_agent_options(values: Values, names: Sequence[str]) -> dict[str, Any]:
    found = {name: value for agent in names for name, value in given(values, get_agent(agent).options).items()}
    return found | {"self_edit": text_or_file(found["self_edit"])} if "self_edit" in found else found


def _owners(option: str) -> str | None:
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
    if value.lstrip(WHITE_SPACE).startswith(("{", "[")):
        return value
    try:
        return Path(value).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError("self_edit", value, f"a JSON text or a readable file ({reason})") from error


def command_line() -> tuple[str, ...]:
    """The command line that is being run: the program, and the arguments that `seal_env.cli.main` was given."""
    own = Path(sys.argv[0])
    program: tuple[str, ...] = (PROGRAM,)
    if own.parts[-2:] == ("seal_env", "__main__.py"):
        program = (sys.executable, "-m", "seal_env")
    elif own.name == PROGRAM and shutil.which(PROGRAM) != str(own):
        program = (str(own),)
    return (*program, *click.get_current_context().find_root().meta.get(ARGUMENTS, ()))
