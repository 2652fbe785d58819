"""seal-env: Self-Adapting Language Models (SEAL, arXiv 2506.10943) as a Gymnasium environment.

Importing this package registers the environments and imports no torch:

    import gymnasium as gym, seal_env
    env = gym.make("SEAL-ARC-v0", subset="seal-train")
"""

from seal_env.starting import interrupted_in_a_line

with interrupted_in_a_line():
    from seal_env.registration import register_all, register_domain

    __all__ = ["__version__", "register_domain"]
    __version__ = "0.1.0"

    register_all()
