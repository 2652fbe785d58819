"""Numeric actions: self-edits as arrays, for agents that cannot write text."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorActionWrapper, VectorEnv
from gymnasium.vector.utils import batch_space

from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.numeric_actions import LEVELS, NumericActions, make_numeric_actions


class StructuredSelfEdit(gymnasium.ActionWrapper[str, Any, str], RecordConstructorArgs):
    """An action is an array of numbers and becomes one whole self-edit, so that an episode is one step.

    `numeric_actions` turns arrays into self-edits and back; it derives from the tools' schemas.

    Args:
        env: A SealEnv, or wrappers around one.
        actions: `multi_discrete` or `box`, see seal_env.self_edits.numeric_actions.
        levels: Of a real number in `multi_discrete`.
        space: Which tools, and ranges; None takes the environment's action space.

    Raises:
        SettingError: For an environment of other actions, and for arguments that no number stands for.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, str],
        actions: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(self, actions=actions, levels=levels, space=space)
        super().__init__(env)
        self.numeric_actions: NumericActions = make_numeric_actions(actions, _spec(env.action_space, space), levels)
        self.action_space = self.numeric_actions.space

    def action(self, action: Any) -> str:
        """The self-edit that the numbers stand for."""
        return self.numeric_actions.decode(action)


class VectorStructuredSelfEdit(VectorActionWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """StructuredSelfEdit for a SealVectorEnv: an action is an array [num_envs, coordinates]."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        actions: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        super().__init__(env)
        self.numeric_actions: NumericActions = make_numeric_actions(actions, _spec(env.single_action_space, space), levels)
        self.single_action_space = self.numeric_actions.space
        self.action_space = batch_space(self.numeric_actions.space, self.num_envs)

    def actions(self, actions: Any) -> tuple[str, ...]:
        """The self-edits that the rows stand for."""
        try:
            rows = () if isinstance(actions, str) else tuple(actions)
        except TypeError:
            rows = ()
        if len(rows) != self.num_envs:
            raise SettingError("actions", actions, f"an array of shape {self.action_space.shape}")
        return tuple(map(self.numeric_actions.decode, rows))


def _spec(acted_on: Any, chosen: SelfEditSpace | None) -> ActionSpec:
    """The actions of the chosen space, or those of the environment, which has to be one of self-edits in any case."""
    if not isinstance(acted_on, SelfEditSpace):
        raise SettingError("env", acted_on, "an environment whose actions are self-edits: wrap a SealEnv, once")
    return (chosen or acted_on).spec
