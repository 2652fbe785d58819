"""Optimizers and schedules by name. Importing this module imports no torch.

To add one: a file in this folder and a line here, or `register_optimizer` and `register_schedule` from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from seal_env.errors import SettingError
from seal_env.inner_loop.optim.schedules import Schedule, cosine, linear
from seal_env.types import Recipe

if TYPE_CHECKING:
    from seal_env.inner_loop.optim.base import Optimizer

    OptimizerEntry = str | Callable[[], Optimizer]

OPTIMIZERS: dict[str, OptimizerEntry] = {
    "adamw": "seal_env.inner_loop.optim.adamw:AdamW",
    "sgd": "seal_env.inner_loop.optim.sgd:SGD",
}
"""Classes, or addresses `module:Class` that are imported on first use."""

SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "linear": linear}


def register_optimizer(name: str, optimizer: OptimizerEntry) -> None:
    """Make an optimizer available as `Recipe.optimizer` to every inner loop.

    Results are cached by this name: give an optimizer that yields other numbers another one.

    Args:
        name: What recipes call it.
        optimizer: A subclass of `seal_env.inner_loop.optim.base.Optimizer`, or its address `module:Class`.

    Raises:
        SettingError: The name is taken by another optimizer.
    """
    if OPTIMIZERS.setdefault(name, optimizer) != optimizer:
        raise SettingError("optimizer", name, "a name that is not taken")


def register_schedule(name: str, schedule: Schedule) -> None:
    """Make a schedule available as `Recipe.schedule` to every inner loop.

    Args:
        name: What recipes call it; as with optimizers, results are cached by it.
        schedule: Progress after warm-up, in [0, 1] -> share of the peak learning rate; below 0 counts as 0.

    Raises:
        SettingError: The name is taken by another schedule.
    """
    if SCHEDULES.setdefault(name, schedule) != schedule:
        raise SettingError("schedule", name, "a name that is not taken")


def make_optimizer(name: str) -> Optimizer:
    """A new optimizer.

    Raises:
        SettingError: There is no optimizer of this name.
    """
    if name not in OPTIMIZERS:
        raise SettingError("optimizer", name, _names(OPTIMIZERS))
    entry = OPTIMIZERS[name]
    made: Optimizer = (resolve_name(entry) if isinstance(entry, str) else entry)()
    return made


def find_schedule(name: str) -> Schedule:
    """The schedule of this name.

    Raises:
        SettingError: There is no schedule of this name.
    """
    if name not in SCHEDULES:
        raise SettingError("schedule", name, _names(SCHEDULES))
    return SCHEDULES[name]


def check_recipe(recipe: Recipe) -> None:
    """Check that a recipe names an optimizer and a schedule that are registered.

    Raises:
        SettingError: One of them is not; the message names the field, its value and the registered names.
    """
    for field, value, registered in (
        ("optimizer", recipe.optimizer, OPTIMIZERS),
        ("schedule", recipe.schedule, SCHEDULES),
    ):
        if value not in registered:
            raise SettingError(field, value, _names(registered))


def _names(registered: dict[str, OptimizerEntry] | dict[str, Schedule]) -> str:
    return " or ".join(map(repr, registered))
