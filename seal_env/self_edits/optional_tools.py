"""Tools that come with the package and belong to no domain: the setting `tools` names those that an environment offers."""

from __future__ import annotations

from typing import Any

from seal_env.inner_loop.optim.registry import OPTIMIZERS, SCHEDULES
from seal_env.tools.base import Tool
from seal_env.tools.common.recipe import recipe_tool
from seal_env.types import LoraSpec, UpdateMethod


def optional_tools(lora: LoraSpec | None = None, method: UpdateMethod = "lora") -> tuple[Tool[Any], ...]:
    """The optional tools of an environment.

    Args:
        lora: its adapter, None for the default one.
        method: its updates.
    """
    adapter = (lora or LoraSpec()) if method == "lora" else None
    return (recipe_tool(tuple(OPTIMIZERS), tuple(SCHEDULES), adapter),)
