"""The generated task sets `mini-train` and `mini-eval`."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.mini.rule import Split
from seal_env.tasks.arc.mini.rules import mini_task
from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.generated import TaskGenerator


@lru_cache(maxsize=4096)
def _draw(split: str, seed: int, index: int) -> ArcTask:
    return mini_task(cast(Split, split), seed, index)[1]


MINI = TaskGenerator[tuple[GridPair, ...], GridPair]("mini", _draw, {"train": None, "eval": None})
