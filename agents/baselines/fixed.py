"""The same self-edit for every task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

from seal_env.agents.base import Agent, Info
from seal_env.options import Options

if TYPE_CHECKING:
    from seal_env.agents.context import AgentContext

FINETUNE_ONLY: Final = json.dumps([{"name": "finetune", "arguments": {}}])
"""The self-edit without texts of the agent's own: only what the domain adds by default is learned, as a passage is."""


class FixedOptions(Options):
    """Options of FixedAgent."""

    self_edit: str | None = None
    """The self-edit, as JSON or as plain text; None is the domain's default."""


class FixedAgent(Agent):
    """The same self-edit for every task."""

    options = FixedOptions

    def __init__(self, self_edit: str) -> None:
        self._self_edit = self_edit

    @classmethod
    def build(cls, options: FixedOptions, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.default_self_edit if options.self_edit is None else options.self_edit)

    def act(self, observation: str, info: Info) -> str:
        """Return the self-edit."""
        return self._self_edit
