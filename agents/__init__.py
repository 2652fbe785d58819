"""Agents: what decides on self-edits, and the loops that train it. Packaged as `seal_env.agents`.

What comes in is an observation and its info; what goes out is an action: a self-edit, or the PolicyFailure of a policy that
gave none. `registry` names the agents, `rollouts` plays episodes, `evaluation` measures them.
"""

if __name__ != "seal_env.agents":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.agents; import that instead of {__name__!r}", name=__name__)
