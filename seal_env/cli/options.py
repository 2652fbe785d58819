"""Command-line options: never abbreviated, a wrong one told in one line, those of settings made from their class."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

from pydantic.fields import FieldInfo
from rich.console import Console

from seal_env.agents.registry import agent_options, agents
from seal_env.domains.registry import domains
from seal_env.options import Options

HELP_WIDTH = 100
METAVARS = {int: "N", float: "X", str: "TEXT"}


def complain(message: str) -> None:
    """One line on standard error."""
    one_line = " ".join(message.split())
    Console(stderr=True, highlight=False).print(f"seal-env: {one_line}", style="red", soft_wrap=True, markup=False)


class Parser(argparse.ArgumentParser):
    """Options are never abbreviated, and a wrong one is told in one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Exit with 2 and one line."""
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            known = [name for action in _all_actions(self) for name in action.option_strings]
            close = get_close_matches(unknown[1], known, n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        complain(f"{message.removeprefix('argument ')} (see {self.prog} --help)")
        sys.exit(2)


class HelpFormatter(argparse.HelpFormatter):
    """Text as wide as the terminal up to a readable width, a narrow column of options, and examples left as they are."""

    def __init__(self, prog: str) -> None:
        width = min(Console().width, HELP_WIDTH) - 2
        super().__init__(prog, max_help_position=26, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def _all_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found = []
    for action in parser._actions:  # noqa: SLF001 (argparse has no public list)
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found += [inner for sub in action.choices.values() for inner in _all_actions(sub)]
    return found


def add_settings(
    group: Any,
    settings: type,
    choices: Mapping[str, tuple[str, ...]] | None = None,
    defaults: Mapping[str, str] | None = None,
    groups: Mapping[str, Any] | None = None,
) -> None:
    """An option for each field of a settings class, its help the first sentence of the field in the class's docstring.

    An option that is not given leaves no trace in the parsed arguments. defaults: words for the default of some fields.
    groups: where the options of some fields go instead of `group`.
    """
    if issubclass(settings, Options):
        _add_options(group, settings, defaults or {}, groups or {})
        return
    explained = dict(re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w|\Z)", settings.__doc__ or "", re.DOTALL | re.MULTILINE))
    hints = get_type_hints(settings)
    for field in fields(settings):  # type: ignore[arg-type]
        kind = next(kind for kind in get_args(hints[field.name]) or (hints[field.name],) if kind is not NoneType)
        text = " ".join(explained.get(field.name, "").split()).partition(". ")[0].removesuffix(".").replace("%", "%%")
        text = re.sub(r"; None (?:is|keeps) (.*)", r" (default: \1)", text)
        default = (defaults or {}).get(field.name, field.default)
        words = text if default is None else f"{text} (default: {default})"
        where = (groups or {}).get(field.name, group)
        name = f"--{field.name.replace('_', '-')}"
        if kind is bool:
            where.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=text)
            continue
        metavar = "|".join((choices or {}).get(field.name, (METAVARS[kind],)))
        where.add_argument(name, type=kind, default=argparse.SUPPRESS, metavar=metavar, help=words)


def _add_options(group: Any, settings: type[Options], defaults: Mapping[str, str], groups: Mapping[str, Any]) -> None:
    every = {
        **settings.model_fields,
        **{name: f for spec in domains().values() for name, f in spec.options.model_fields.items()},
    }
    for name, field in every.items():
        if name == "options":
            continue
        kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
        kind: Any = next((each for each in kinds if each in METAVARS), str)
        text = " ".join((field.description or "").split()).partition(". ")[0].removesuffix(".").replace("%", "%%")
        text = re.sub(r"; None (?:is|saves|stands for) (.*)", r" (default: \1)", text)
        default = defaults.get(name, field.default)
        words = text if default is None else f"{text} (default: {default})"
        option, where = f"--{name.replace('_', '-')}", groups.get(name, group)
        if field.annotation is bool:
            where.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            where.add_argument(option, type=kind, default=argparse.SUPPRESS, metavar=METAVARS[kind], help=words)


def given_settings(arguments: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The options of a settings class that were given."""
    if issubclass(settings, Options):
        own = [name for spec in domains().values() for name in spec.options.model_fields]
        names = [*settings.model_fields, *own]
    else:
        names = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def add_agent(parser: argparse.ArgumentParser) -> None:
    """`--agent`, and an option for each setting that some agent has of its own."""
    known = agents()
    summaries = "; ".join(f"{name}: {spec.summary}" for name, spec in known.items())
    parser.add_argument("--agent", default="random", metavar="NAME", help=f"{summaries} (default: random)")
    add_agent_options(parser, known)


def add_agent_options(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """An option for each setting that one of these agents has of its own."""
    group = parser.add_argument_group("options of agents")
    takers: dict[str, list[str]] = {}
    found: dict[str, FieldInfo] = {}
    for agent in names:
        for name, field in agent_options()[agent].model_fields.items():
            takers.setdefault(name, []).append(agent)
            found[name] = field
    for name, field in found.items():
        described = re.sub(r"; None is (.*)", r" (default: \1)", " ".join((field.description or "").split()).rstrip("."))
        text = f"{', '.join(takers[name])}: {described}".replace("%", "%%")
        option = f"--{name.replace('_', '-')}"
        if field.annotation is bool:
            group.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=text)
            continue
        kind: Any = field.annotation if field.annotation in (int, float) else str
        group.add_argument(option, type=kind, default=argparse.SUPPRESS, metavar=METAVARS[kind], help=text)


def given_agent_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of agents that were given."""
    names = {name for model in agent_options().values() for name in model.model_fields}
    return {name: getattr(arguments, name) for name in sorted(names) if hasattr(arguments, name)}
