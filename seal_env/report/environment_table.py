"""The environments by id, with a line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from seal_env.domains.registry import get_domain
from seal_env.registration import environments
from seal_env.report.formats import plain_table


def environment_rows() -> list[dict[str, str]]:
    """For each environment `id`, `domain`, `tasks` (its task set by default) and `summary`."""
    rows = []
    for name, settings in environments().items():
        spec = get_domain(settings["domain"])
        sequence = f"{settings['sequence']} tasks in a row, each learned for good: " if "sequence" in settings else ""
        tasks = str(settings.get("subset", spec.defaults.get("subset", spec.train_set)))
        rows.append({"id": name, "domain": spec.name, "tasks": tasks, "summary": f"{sequence}{spec.summary}"})
    return rows


def environments_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A row for each environment, given as `environment_rows` makes them."""
    table = plain_table("environment", "tasks", "what an episode is about", right=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(Text(row["id"]), Text(row["tasks"]), Text(row["summary"]))
    return table
