"""SEAL as an OpenEnv environment: what a client needs."""

from seal_env.adapters.openenv.client import SealClient, SessionLostError
from seal_env.adapters.openenv.messages import SealAction, SealObservation, SealState

__all__ = ["SealAction", "SealClient", "SealObservation", "SealState", "SessionLostError"]
