"""`seal-env tools | card | doctor`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seal_env.cli.options import HELP_WIDTH
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain
from seal_env.models.catalog import CARDS, MODEL_NAME
from seal_env.settings import default_of
from seal_env.tools.registry import json_schemas, openai_tools
from seal_env.tools.schema import legal_values


def add_tools(commands: Any) -> None:
    """The command's parser."""
    about = "The tools that a self-edit calls, and their arguments."
    tools = commands.add_parser("tools", help="the tools' schemas", description=about)
    tools.add_argument("--format", choices=("text", "openai", "json-schema"), default="text", help="default: text")
    tools.add_argument("--domain", choices=tuple(domains()), default=DEFAULT_DOMAIN, help="default: %(default)s")
    tools.set_defaults(command=show_tools)


def add_card(commands: Any) -> None:
    """The command's parser."""
    about = "The card of an bundled model: what it was trained on and what it can do. In a pipe: Markdown."
    card = commands.add_parser("card", help="an bundled model's card", description=about)
    card.add_argument("--model", choices=tuple(CARDS), default=MODEL_NAME, help="default: %(default)s")
    card.set_defaults(command=show_card)


def add_doctor(commands: Any) -> None:
    """The command's parser."""
    about = "Check this installation: packages, disk, device, model, and one real update, done twice."
    doctor = commands.add_parser("doctor", help="check this installation with one real update", description=about)
    doctor.add_argument("--model", default=default_of("model"), help="default: %(default)s")
    doctor.add_argument("--device", default=default_of("device"), help="default: %(default)s")
    doctor.set_defaults(command=run_doctor)


def show_tools(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env tools`."""
    tools = get_domain(arguments.domain).tools
    if arguments.format == "text":
        schemas = json_schemas(tools)
        for tool in tools:
            console.print(Text.assemble((tool.name, "bold"), f"\n{tool.description}"))
            for name, schema in schemas[tool.name]["properties"].items():
                console.print(
                    Padding(Text.assemble((name, "bold"), f": {legal_values(schema)}"), (0, 0, 0, 4), expand=False)
                )
                console.print(Padding(Text(schema["description"]), (0, 0, 0, 8), expand=False))
            console.print()
        return 0
    document: Any = openai_tools(tools) if arguments.format == "openai" else json_schemas(tools)
    print(json.dumps(document, indent=2))
    return 0


def show_card(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env card`: rendered on a terminal; anywhere else the file's own bytes."""
    path = CARDS[arguments.model]
    if sys.stdout.isatty():
        from rich.markdown import Markdown  # here: other commands need none of it

        console.print(Markdown(path.read_text(encoding="utf-8")), width=min(console.width, HELP_WIDTH))
    else:
        sys.stdout.buffer.write(path.read_bytes())
    return 0


def run_doctor(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env doctor`: 1 if something is wrong."""
    from seal_env.cli.doctor import diagnose

    return 0 if diagnose(arguments.model, arguments.device, console) else 1
