"""The tools of the domains, and lookups on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seal_env.domains import arc, knowledge
from seal_env.tools.base import Tool
from seal_env.tools.example import example_arguments

ARC_TOOLS, KNOWLEDGE_TOOLS = arc.TOOLS, knowledge.TOOLS
ARC_NAMES, KNOWLEDGE_NAMES = ([tool.name for tool in tools] for tools in (ARC_TOOLS, KNOWLEDGE_TOOLS))
TOOLS: Mapping[str, Tool[Any]] = {tool.name: tool for tool in (ARC_TOOLS[0], *KNOWLEDGE_TOOLS)}
"""Every tool by name."""
EXAMPLES = {name: example_arguments(tool) for name, tool in TOOLS.items()}
"""The arguments that the prompt shows as an example."""
RATE, EPOCHS = "training.learning_rate", "training.num_train_epochs"
"""The numbers of `training`, as ranges name them."""
