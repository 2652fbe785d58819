"""Write a page for each environment into docs/environments, from docstrings, tools and settings; a test compares them.

python scripts/make_env_pages.py
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import domains
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.env import SealEnv
from seal_env.settings import Settings

DOCS: Final = Path(__file__).parents[1] / "docs"
PICTURES: Final = {
    "SEAL-ARC-v0": "arc",
    "SEAL-ARC-Mini-v0": "arc-mini",
    "SEAL-Knowledge-v0": "knowledge",
    "SEAL-Continual-v0": "continual",
}
GUIDES: Final = {
    "arc": "[actions and outcomes](../actions.md)",
    "knowledge": "[passages, and sequences of them](../knowledge.md)",
    "reasoning": "[procedural reasoning tasks](../custom-tasks.md#procedural-reasoning-tasks)",
    "custom": "[your own tasks](../custom-tasks.md)",
}
LIMITS: Final = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
SECTIONS: Final = ("Reward", "Observation", "Episode end", "Info", "Seeds")
"""Sections of SealEnv's docstring that every page has; SealContinualEnv has some of its own."""


def section(of: type, name: str) -> str:
    """A section of a class's docstring, its paragraphs in one line each."""
    text = inspect.getdoc(of) or ""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"{of.__name__} has no section {name!r}")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", found[1].strip())


def cell(text: str) -> str:
    """A text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def legal(schema: Mapping[str, Any], definitions: Mapping[str, Any], plural: str = "") -> str:
    """The legal values of an argument, from its JSON Schema and the definitions that it refers to."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(legal(each, definitions) for each in schema["anyOf"])
    if schema.get("type") == "array":
        count = f"{schema.get('minItems', 0)} to {schema['maxItems']} " if "maxItems" in schema else ""
        return f"list of {count}{legal(schema['items'], definitions, 's')}"
    if "$ref" in schema:
        fields = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]["properties"]
        return f"object{plural} with {' and '.join(f'`{name}`' for name in fields)}"
    limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
    if "maxLength" in schema:
        limits.append(f"up to {schema['maxLength']} characters")
    return ", ".join([f"{schema.get('type', 'any')}{plural}", *limits])


def tool_rows(spec: DomainSpec) -> Iterator[str]:
    """A row for each argument of each tool."""
    for tool in spec.tools:
        schemas = tool.arguments.model_json_schema()
        yield f"| `{tool.name}` | | | {cell(tool.description)} |"
        for name, schema in schemas.get("properties", {}).items():
            yield f"| | `{name}` | {cell(legal(schema, schemas.get('$defs', {})))} | {cell(schema.get('description', ''))} |"


def setting_rows(spec: DomainSpec, settings: Mapping[str, Any]) -> Iterator[str]:
    """The domain's own settings, and the shared ones that have another default here."""
    for name, field in spec.options.model_fields.items():
        yield f"| `{name}` | `{field.default}` | {cell(field.description or '')} |"
    for name, value in {**spec.defaults, **settings}.items():
        yield f"| `{name}` | `{value}` | {cell(Settings.model_fields[name].description or '')} |"


def page(environment_id: str, spec: DomainSpec, settings: Mapping[str, Any]) -> str:
    """The page of one environment."""
    continual = "sequence" in settings
    picture = PICTURES.get(environment_id)
    shown = f"![An episode of {environment_id}](../images/{picture}.gif)\n\n" if picture else ""
    intro = section(SealContinualEnv, "Episode") if continual else section(SealEnv, "Description")
    sections = {name: section(SealEnv, name) for name in SECTIONS}
    if continual:
        sections |= {name: section(SealContinualEnv, name) for name in ("Reward", "Episode end")}
        sections["Info"] += f"\n\n{section(SealContinualEnv, 'Info')}"
    example = json.dumps(json.loads(spec.default_self_edit), indent=2) if spec.default_self_edit else ""
    described = "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items())
    tools, rows = "\n".join(tool_rows(spec)), "\n".join(setting_rows(spec, settings))
    return f"""# {environment_id}

{shown}Domain `{spec.name}`: {spec.summary}.
More: {GUIDES[spec.name]}.

```python
import gymnasium as gym, seal_env

env = gym.make("{environment_id}")
observation, info = env.reset(seed=0)
```

{intro}

## Self-edit

| tool | argument | legal values | meaning |
|---|---|---|---|
{tools}

The self-edit of the agent `fixed`:

```json
{example}
```

{described}

## Arguments

Beside the shared [settings](../settings.md):

| setting | default | meaning |
|---|---|---|
{rows}
"""


def pages() -> dict[str, str]:
    """Each page by its name."""
    return {
        f"{environment_id}.md": page(environment_id, spec, settings)
        for spec in domains().values()
        for environment_id, settings in spec.environments.items()
        if spec.name in GUIDES
    }


def main() -> None:
    """Write all pages."""
    folder = DOCS / "environments"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
