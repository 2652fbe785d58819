"""The demonstrations of a task of grids, read from an agent's info."""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.agents.base import Info
from seal_env.tasks.arc.grid import Grid, GridPair


def demonstrations(info: Info) -> tuple[GridPair, ...]:
    """The task's pairs of grids; none where its data are something else."""
    pairs = info["task"]["data"].get("demonstrations", ())
    grids = [each[side] for each in pairs for side in ("input", "output")]
    if not all(isinstance(row, Sequence) and not isinstance(row, str) for grid in grids for row in grid):
        return ()
    return tuple(GridPair(_grid(each["input"]), _grid(each["output"])) for each in pairs)


def _grid(rows: Sequence[Sequence[int]]) -> Grid:
    return tuple(map(tuple, rows))
