"""An ARC task: its context is the demonstrations, its queries are its test pairs."""

from __future__ import annotations

from seal_env.tasks.arc.grid import GridPair
from seal_env.types import Task, Taskset

ArcContext = tuple[GridPair, ...]
ArcTask = Task[ArcContext, GridPair]
ArcTaskset = Taskset[ArcContext, GridPair]
