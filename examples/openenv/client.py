"""The client, where OpenEnv looks for it."""

from seal_env.adapters.openenv.client import SealClient

__all__ = ["SealClient"]
