"""seal-env as a plug-in of verifiers: `vf-eval seal_env_verifiers`."""

from seal_env.adapters.verifiers.environment import SealEnvironment
from seal_env.adapters.verifiers.harness import SealHarness
from seal_env.adapters.verifiers.taskset import SealTaskset

__all__ = ["SealEnvironment", "SealHarness", "SealTaskset"]
