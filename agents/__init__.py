"""Agents: policies over self-edits and the loops that train them. Packaged as `seal_env.agents`."""

if __name__ != "seal_env.agents":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.agents; import that instead of {__name__!r}", name=__name__)
