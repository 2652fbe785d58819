"""Self-edits as numbers, for agents that cannot write text."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorActionWrapper, VectorEnv
from gymnasium.vector.utils import batch_space

from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError
from seal_env.self_edits.numeric_actions import LEVELS, SelfEditCodec, make_codec


class StructuredSelfEdit(gymnasium.ActionWrapper[str, Any, str], RecordConstructorArgs):
    """An action is an array of numbers and becomes one whole self-edit, so that an episode is one step.

    codec: `multi_discrete` or `box` (see seal_env.self_edits.numeric_actions), which derive from the tools' schemas. levels: of a real number in
    `multi_discrete`. space: which tools, and ranges; None takes the environment's action space. Raises SettingError.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, str],
        codec: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(self, codec=codec, levels=levels, space=space)
        super().__init__(env)
        self.codec: SelfEditCodec = make_codec(codec, _self_edits(env.action_space, space), levels)
        self.action_space = self.codec.space

    def action(self, action: Any) -> str:
        """The self-edit that the numbers stand for."""
        return self.codec.decode(action)


class VectorStructuredSelfEdit(VectorActionWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """StructuredSelfEdit for a SealVectorEnv: an action is an array [num_envs, coordinates]."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        codec: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        super().__init__(env)
        self.codec: SelfEditCodec = make_codec(codec, _self_edits(env.single_action_space, space), levels)
        self.single_action_space = self.codec.space
        self.action_space = batch_space(self.codec.space, self.num_envs)

    def actions(self, actions: Any) -> tuple[str, ...]:
        """The self-edits that the rows stand for."""
        return tuple(map(self.codec.decode, actions))


def _self_edits(acted_on: Any, chosen: SelfEditSpace | None) -> SelfEditSpace:
    """The chosen space, or that of the environment, which has to be one of self-edits in any case."""
    if not isinstance(acted_on, SelfEditSpace):
        raise SettingError("env", acted_on, "an environment whose actions are self-edits: wrap a SealEnv, once")
    return chosen or acted_on
