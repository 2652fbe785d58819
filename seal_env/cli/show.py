"""`seal-env envs`, `seal-env tools` and `seal-env card`."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seal_env.cli.options import HELP_WIDTH
from seal_env.domains.registry import DEFAULT_DOMAIN, get_domain
from seal_env.models.catalog import CARDS, MODEL_NAME
from seal_env.report.environment_table import environment_rows, environments_table
from seal_env.tools.registry import json_schemas, openai_tools
from seal_env.tools.schema import legal_values

FORMATS = {"openai": openai_tools, "json-schema": json_schemas}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_obj
def envs(console: Console, as_json: bool) -> None:
    """List the environments: what `gym.make` and `--env` take."""
    found = environment_rows()
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        console.print(environments_table(found))


@click.command()
@click.option(
    "--format", type=click.Choice(["text", *FORMATS]), default="text", show_default=True, help="How they are shown."
)
@click.option("--domain", default=DEFAULT_DOMAIN, show_default=True, help="Kind of task.")
@click.pass_obj
def tools(console: Console, format: str, domain: str) -> None:  # noqa: A002 (the name of the option)
    """Show the tools that a self-edit calls, and their arguments."""
    offered = get_domain(domain).tools
    if format != "text":
        print(json.dumps(FORMATS[format](offered), indent=2))
        return
    schemas = json_schemas(offered)
    for tool in offered:
        console.print(Text.assemble((tool.name, "bold"), f"\n{tool.description}"))
        for name, schema in schemas[tool.name]["properties"].items():
            legal = Text.assemble((name, "bold"), f": {legal_values(schema)}")
            console.print(Padding(legal, (0, 0, 0, 4), expand=False))
            console.print(Padding(Text(schema["description"]), (0, 0, 0, 8), expand=False))
        console.print()


@click.command()
@click.option("--model", type=click.Choice(list(CARDS)), default=MODEL_NAME, show_default=True, help="The bundled model.")
@click.pass_obj
def card(console: Console, model: str) -> None:
    """Show the card of a bundled model: what it was trained on and what it can do. In a pipe: Markdown."""
    path = CARDS[model]
    if sys.stdout.isatty():
        from rich.markdown import Markdown  # here: slow to import

        console.print(Markdown(path.read_text(encoding="utf-8")), width=min(console.width, HELP_WIDTH))
    else:
        sys.stdout.buffer.write(path.read_bytes())
