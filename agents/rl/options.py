"""Options of the agent `sb3`."""

from __future__ import annotations

from seal_env.options import Options, PathText


class Sb3Options(Options):
    """Options of Sb3Agent."""

    policy_file: PathText | None = None
    """The trained policy: a file that `seal_env.agents.rl.policy_file.save_policy` wrote."""
