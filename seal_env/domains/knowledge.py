"""Knowledge: a passage to learn, and questions that are answered without it."""

from __future__ import annotations

from typing import Any

from seal_env.tools.base import Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.relations import RELATIONS
from seal_env.tools.text.rewrite import REWRITE
from seal_env.tools.text.self_qa import SELF_QA

TOOLS: tuple[Tool[Any], ...] = (IMPLICATIONS, REWRITE, SELF_QA, RELATIONS, TRAINING, FINETUNE)
"""The tools of its self-edits, in the order in which the prompt explains them."""
