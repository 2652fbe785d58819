"""Agents: what decides on self-edits, and the loops that train it. Packaged as `seal_env.agents`.

An observation and its info come in; an action, or the PolicyFailure of a policy that gave none, goes out. `registry` names
the agents, `rollouts` plays episodes, `evaluation` measures them.
"""

if __name__ != "seal_env.agents":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.agents; import that instead of {__name__!r}", name=__name__)
