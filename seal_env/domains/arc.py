"""ARC: grids, from a few demonstrations of one hidden rule."""

from __future__ import annotations

from typing import Any

from seal_env.tools.arc.augment import AUGMENT
from seal_env.tools.base import Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING

TOOLS: tuple[Tool[Any], ...] = (AUGMENT, TRAINING, FINETUNE)
"""The tools of its self-edits, in the order in which the prompt explains them."""
