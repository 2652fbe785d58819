"""Command-line options made from settings models: a field is an option, and the docstring below it is the help text.

click parses; it was chosen over typer and tyro because it takes options as data. typer makes them from the signature of a
function, and tyro prints errors as boxes of several lines.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel

from seal_env.cli.completion import completer

HELP_WIDTH: Final = 100
LONGEST_METAVAR: Final = 40
_NUMBERS: Final[Mapping[Any, click.ParamType[Any]]] = {int: click.INT, float: click.FLOAT}
_PARAMETERS: Final = "seal_env.cli.options"


class GroupedOption(click.Option):
    """An option that `--help` lists below a heading of its own."""

    def __init__(self, *args: Any, group: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class SettingsCommand(click.Command):
    """A command some of whose options decide which others there are, as `--env` and `--agent` do.

    Args:
        name: Of the command.
        options: (values of the deciding options, by name) -> all parameters. An empty mapping stands for the defaults.
        deciding: Names of the deciding options.
        elsewhere: (name of an option) -> where such an option would be legal, in words; None if nowhere.
        kwargs: Of click.Command.

    Attributes:
        always: Parameters that it has beside these.
    """

    def __init__(
        self,
        name: str | None,
        *,
        options: Callable[[Mapping[str, Any]], Sequence[click.Parameter]],
        deciding: Collection[str] = (),
        elsewhere: Callable[[str], str | None] = lambda name: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self._options, self._deciding, self._elsewhere = options, deciding, elsewhere
        self.always: list[click.Parameter] = []

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All parameters, for the values of the deciding options that the context was made with."""
        self.params = [*(ctx.meta.get(_PARAMETERS) or self._options({})), *self.always]
        return super().get_params(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the deciding options first, then all.

        Raises:
            click.UsageError: For an argument that is not legal.
        """
        deciding = [param for param in self._options({}) if param.name in self._deciding]
        first = click.Command(None, params=deciding, add_help_option=False)
        lenient: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": True}
        with first.make_context(None, list(args), resilient_parsing=True, **lenient) as found:
            chosen = {name: value for name, value in found.params.items() if value is not None}
        ctx.meta[_PARAMETERS] = self._options(chosen)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            where = self._elsewhere(error.option_name)
            if where is None:
                raise
            raise click.UsageError(f"No such option {error.option_name!r} here: it is {where}.", ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below their headings."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def options_of(
    model: type[BaseModel],
    group: str | Callable[[str], str],
    defaults: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> list[click.Parameter]:
    """An option for each field of a settings model. One that is not given has the value None.

    Args:
        model: The settings.
        group: The heading in `--help`, or (name of a field) -> heading.
        defaults: Values that `--help` shows instead of the fields' own defaults.
        without: Names of fields that are no options.
    """
    made: list[click.Parameter] = []
    for name, field in model.model_fields.items():
        if name in without:
            continue
        default = (defaults or {}).get(name, None if field.is_required() else field.default)
        kind, flag = _type(field.annotation), name.replace("_", "-")
        text, metavar = _help(field.description or "", default), None
        if isinstance(kind, click.Choice) and len("|".join(kind.choices)) > LONGEST_METAVAR:
            text, metavar = f"{text}. One of {', '.join(kind.choices)}", "NAME"
        made.append(
            GroupedOption(
                [f"--{flag}/--no-{flag}" if kind is click.BOOL else f"--{flag}"],
                type=kind,
                default=None,
                metavar=metavar,
                help=text,
                shell_complete=completer(name),
                group=group if isinstance(group, str) else group(name),
            )
        )
    return made


def given(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a settings model whose options were given."""
    return {name: values[name] for name in model.model_fields if values.get(name) is not None}


def _help(description: str, default: Any) -> str:
    """The help text of a field. The default is shown as it is, so what the description says of it is left out."""
    text = re.sub(r"; the default is [^.;]*", "", " ".join(description.split())).rstrip(".")
    text = re.sub(r"\bNone (is|stands for) ", "by default ", text)
    if default is None or default == ():
        return text
    if isinstance(default, bool):
        return f"{text} (default: {'yes' if default else 'no'})"
    return f"{text} (default: {','.join(map(str, default)) if isinstance(default, tuple | list) else default})"


def _type(annotation: Any) -> click.ParamType[Any]:
    """How the text of an option becomes a value. Texts that are not legal are left to the model, whose errors say why."""
    kinds = list(_members(annotation))
    if bool in kinds:
        return click.BOOL
    if kinds and all(isinstance(kind, str) for kind in kinds):
        return click.Choice(kinds)
    return next((_NUMBERS[kind] for kind in kinds if kind in (int, float)), click.STRING)


def _members(annotation: Any) -> Iterator[Any]:
    """Types and literal values that an annotation allows, None left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    elif origin is Literal:
        yield from get_args(annotation)
    elif annotation is not types.NoneType:
        yield annotation
