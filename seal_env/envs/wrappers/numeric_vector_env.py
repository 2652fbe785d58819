"""The default stack for reinforcement learning with arrays: numeric actions in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from seal_env.envs.spaces import SelfEditSpace
from seal_env.envs.wrappers.grid_features import FeatureDict, VectorGridFeatures
from seal_env.envs.wrappers.numeric_action import VectorStructuredSelfEdit
from seal_env.envs.wrappers.replay_failures import VectorReplayFailures
from seal_env.self_edits.numeric_actions import LEVELS
from seal_env.tasks.arc.features import PARTS, GridShape


def numeric_vector_env(
    environment_id: str = "SEAL-ARC-Mini-v0",
    num_envs: int = 16,
    *,
    actions: str = "multi_discrete",
    levels: int = LEVELS,
    space: SelfEditSpace | None = None,
    shape: GridShape | None = None,
    parts: Sequence[str] = PARTS,
    one_hot: bool = False,
    replays: int = 2,
    autoreset_mode: str = AutoresetMode.NEXT_STEP.value,
    **settings: Any,
) -> VectorEnv[FeatureDict, Any, NDArray[Any]]:
    """A SealVectorEnv of one-turn episodes with VectorReplayFailures, VectorStructuredSelfEdit and VectorGridFeatures on it.

    Args:
        environment_id: A Gymnasium id.
        num_envs: Episodes that train together.
        actions: See StructuredSelfEdit, as `levels` and `space`.
        levels: Of a real number.
        space: Which tools, and ranges.
        shape: See GridFeatures, as `parts` and `one_hot`.
        parts: Of the features.
        one_hot: Whether cells are ten numbers each.
        replays: See VectorReplayFailures.
        autoreset_mode: See Gymnasium's vector environments.
        **settings: See seal_env.settings.Settings.

    Raises:
        SettingError, UnknownTaskError, TaskError: For settings that are not legal, and tasks that are not there.
    """
    settings = {"max_turns": 1, **settings}
    envs = gymnasium.make_vec(environment_id, num_envs, autoreset_mode=autoreset_mode, **settings)
    acting = VectorStructuredSelfEdit(VectorReplayFailures(envs, replays), actions, levels, space)
    return VectorGridFeatures(acting, shape, parts, one_hot)
