"""Agents that do not read the task: a random self-edit, a given one, none at all, and nothing but the passage itself."""

from __future__ import annotations

import copy
import json

import gymnasium

from seal_env.agents.base import Agent


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
    """Samples self-edits from an action space. Equal seeds give equal sequences."""

    def __init__(self, action_space: gymnasium.Space[str], seed: int) -> None:
        self._space = copy.deepcopy(action_space)
        self._space.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._space.seed(seed)

    def act(self, observation: str) -> str:
        """A valid self-edit, whatever the observation."""
        return self._space.sample()


class FixedAgent(Agent):
    """Gives the same self-edit for every task."""

    def __init__(self, self_edit: str = DEFAULT_SELF_EDIT) -> None:
        self._self_edit = self_edit

    def act(self, observation: str) -> str:
        """The given self-edit."""
        return self._self_edit
