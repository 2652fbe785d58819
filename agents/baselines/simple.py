"""Agents that do not read the task: a random self-edit, and a fixed one."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Self

import gymnasium

from seal_env.agents.base import Agent, Info
from seal_env.options import Options

if TYPE_CHECKING:
    from seal_env.agents.context import AgentContext


def _self_edit(basic: bool, learning_rate: float, epochs: int) -> str:
    switches = {f"use_{kind}_augmentations": basic and kind == "basic" for kind in ("basic", "size", "chain", "repeat")}
    training = {"strategy": "train_using_output_tokens", "learning_rate": learning_rate, "num_train_epochs": epochs}
    calls = {"augment": switches, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


DEFAULT_SELF_EDIT = _self_edit(basic=True, learning_rate=3e-4, epochs=2)
"""The usual test-time-training configuration: all symmetries, loss on the answers."""

NO_UPDATE = _self_edit(basic=False, learning_rate=1e-4, epochs=0)
"""No epochs: the base model as it is."""

PASSAGE_ONLY = json.dumps([{"name": "finetune", "arguments": {}}])
"""Knowledge: no text of the agent's own, so that the passage is all that is learned."""


def _no_epochs() -> str:
    training = {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": 0}
    calls = {"implications": {"texts": ["None."]}, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


NO_UPDATE_OF_KNOWLEDGE = _no_epochs()
"""No epochs either. The text is for environments that do not learn the passage, where no text at all would be a mistake."""

DEFAULT_SELF_EDITS = {"arc": DEFAULT_SELF_EDIT, "knowledge": PASSAGE_ONLY}
NO_UPDATES = {"arc": NO_UPDATE, "knowledge": NO_UPDATE_OF_KNOWLEDGE}


class RandomAgent(Agent):
    """A random valid self-edit."""

    def __init__(self, action_space: gymnasium.Space[str], seed: int = 0) -> None:
        """Equal seeds give equal sequences of actions.

        Args:
            action_space: Sampled from; a copy is, so that the environment's own is left as it is.
            seed: Of the copy.
        """
        self._space = copy.deepcopy(action_space)
        self._space.seed(seed)

    @classmethod
    def build(cls, options: Options, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.action_space, context.seed)

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._space.seed(seed)

    def act(self, observation: str, info: Info) -> str:
        """Sample a self-edit, whatever the observation."""
        return self._space.sample()


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
