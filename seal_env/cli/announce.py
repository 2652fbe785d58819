"""What a long command says at once, before anything heavy is imported or loaded: what it will do, with what, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rich.console import Console

from seal_env.errors import SealError
from seal_env.experiments.config import ExperimentConfig
from seal_env.settings import Settings

Count = Callable[[str | None], int]
"""(name of a task set; None is the environment's own) -> its number of tasks."""
Plan = Callable[[Any, Mapping[str, Any], Count], str]
"""(the command's own settings, values of all options, count) -> how much will be done."""


def announce(
    console: Console, name: str, config: ExperimentConfig, environment: Mapping[str, Any], plan: Callable[[Count], str]
) -> None:
    """Say what a command will do. What is wrong with its settings is left to the command itself.

    Args:
        console: Where to print.
        name: Of the command, with its agent if it has one.
        config: The experiment.
        environment: All settings of the environment that are not defaults.
        plan: See `Plan`.
    """
    try:
        used = Settings.resolve(**environment)
    except SealError:
        return
    where = config.out if config.named else f"{config.out.parent}/"
    text = f"{name} on {used.subset}; model {used.model}, device {used.device}; results in {where}"
    console.print(f"begin     {text}", soft_wrap=True, markup=False)
    try:
        text = plan(partial(_count, used))
    except SealError:
        return
    console.print(f"plan      {text}; estimating the time", soft_wrap=True, markup=False)


def _count(used: Settings, subset: str | None) -> int:
    return len(used.spec.load(used.subset if subset is None else subset, used.options))
