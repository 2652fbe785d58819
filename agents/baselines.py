"""Agents that do not read the task: a random self-edit, a given one, and none at all (in-context learning)."""

from __future__ import annotations

import copy
import json

import gymnasium

from seal_env.agents.base import Agent

# The usual test-time-training configuration: all symmetries, loss on the answers.
USUAL_SELF_EDIT = json.dumps(
    [
        {
            "name": "augment",
            "arguments": {
                "use_basic_augmentations": True,
                "use_size_augmentations": False,
                "use_chain_augmentations": False,
                "use_repeat_augmentations": False,
            },
        },
        {
            "name": "training",
            "arguments": {"strategy": "train_using_output_tokens", "learning_rate": 0.001, "num_train_epochs": 2},
        },
        {"name": "finetune", "arguments": {}},
    ]
)
NO_UPDATE = json.dumps(
    [
        {
            "name": "augment",
            "arguments": {
                "use_basic_augmentations": False,
                "use_size_augmentations": False,
                "use_chain_augmentations": False,
                "use_repeat_augmentations": False,
            },
        },
        {
            "name": "training",
            "arguments": {"strategy": "train_using_output_tokens", "learning_rate": 0.0001, "num_train_epochs": 0},
        },
        {"name": "finetune", "arguments": {}},
    ]
)


class RandomAgent(Agent):
    """Samples self-edits from an action space. Equal seeds give equal sequences."""

    def __init__(self, action_space: gymnasium.Space[str], seed: int) -> None:
        self._space = copy.deepcopy(action_space)
        self._space.seed(seed)

    def act(self, observation: str) -> str:
        """A valid self-edit, whatever the observation."""
        return self._space.sample()


class FixedAgent(Agent):
    """Gives the same self-edit for every task."""

    def __init__(self, self_edit: str = USUAL_SELF_EDIT) -> None:
        self._self_edit = self_edit

    def act(self, observation: str) -> str:
        """The given self-edit."""
        return self._self_edit
