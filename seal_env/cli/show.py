"""`seal-env envs`, `seal-env tools` and `seal-env card`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from seal_env.cli.options import HELP_WIDTH
from seal_env.cli.tasks import domain_option
from seal_env.domains.registry import get_domain
from seal_env.models.catalog import CARDS, MODEL_NAME
from seal_env.report.environment_table import environment_rows, environments_table
from seal_env.report.terminal import Terminal
from seal_env.tools.base import Tool
from seal_env.tools.registry import json_schemas, openai_tools
from seal_env.tools.schema import legal_values

FORMATS = {"openai": openai_tools, "json-schema": json_schemas}


@click.command()
@click.pass_obj
def envs(console: Terminal) -> None:
    """List the environments: what `gym.make` and `--env` take."""
    found = environment_rows()
    console.show(found, environments_table(found))


@click.command()
@click.option(
    "--format", type=click.Choice(["text", *FORMATS]), default="text", show_default=True, help="How they are shown."
)
@domain_option
@click.pass_obj
def tools(console: Terminal, format: str, domain: str) -> None:  # noqa: A002 (the name of the option)
    """Show the tools that a self-edit calls, and their arguments.

    The formats openai and json-schema are JSON; --json alone is openai.
    """
    offered = get_domain(domain).tools
    if format != "text":
        console.print_json_only()
    document = FORMATS.get(format, openai_tools)(offered)
    console.show(document, *_in_words(offered))


def _in_words(offered: Sequence[Tool[Any]]) -> Iterator[RenderableType]:
    schemas = json_schemas(offered)
    for tool in offered:
        yield Text.assemble((tool.name, "bold"), f"\n{tool.description}")
        for name, schema in schemas[tool.name]["properties"].items():
            yield Padding(Text.assemble((name, "bold"), f": {legal_values(schema)}"), (0, 0, 0, 4), expand=False)
            yield Padding(Text(schema["description"]), (0, 0, 0, 8), expand=False)
        yield ""


@click.command()
@click.option("--model", type=click.Choice(list(CARDS)), default=MODEL_NAME, show_default=True, help="The bundled model.")
@click.pass_obj
def card(console: Terminal, model: str) -> None:
    """Show the card of a bundled model: what it was trained on and what it can do. In a pipe: Markdown."""
    path = CARDS[model]
    if console.as_json:
        console.show({"model": model, "card": path.read_text(encoding="utf-8")})
    elif sys.stdout.isatty():
        from rich.markdown import Markdown  # here: slow to import

        console.results.print(Markdown(path.read_text(encoding="utf-8")), width=min(console.results.width, HELP_WIDTH))
    else:
        sys.stdout.buffer.write(path.read_bytes())
