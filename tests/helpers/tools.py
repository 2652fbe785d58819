"""The tools of the domains, and lookups on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seal_env.domains import arc, knowledge
from seal_env.tools.base import Tool

ARC_TOOLS, KNOWLEDGE_TOOLS = arc.TOOLS, knowledge.TOOLS
ARC_NAMES, KNOWLEDGE_NAMES = ([tool.name for tool in tools] for tools in (ARC_TOOLS, KNOWLEDGE_TOOLS))
TOOLS: Mapping[str, Tool[Any]] = {tool.name: tool for tool in (ARC_TOOLS[0], *KNOWLEDGE_TOOLS)}
"""Every tool by name."""
