"""Wrappers of environments.

An environment comes in; one with numeric actions, with features, with replays or with a gate goes out. Each wrapper for
single environments has a `Vector...` sibling for SealVectorEnv; `numeric_vector_env` makes the usual stack.
"""

from seal_env.envs.wrappers.forgetting_gate import ForgettingGate
from seal_env.envs.wrappers.grid_features import GridFeatures, VectorGridFeatures
from seal_env.envs.wrappers.numeric_action import StructuredSelfEdit, VectorStructuredSelfEdit
from seal_env.envs.wrappers.numeric_vector_env import numeric_vector_env
from seal_env.envs.wrappers.replay_failures import VectorReplayFailures

__all__ = [
    "ForgettingGate",
    "GridFeatures",
    "StructuredSelfEdit",
    "VectorGridFeatures",
    "VectorReplayFailures",
    "VectorStructuredSelfEdit",
    "numeric_vector_env",
]
