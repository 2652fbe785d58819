"""In comes a tool call with its arguments, the draft of a self-edit and what the domain offers; out goes the new draft.

One tool a file: a pydantic model of its arguments and one pure function. Packaged as `seal_env.tools`.
"""

if __name__ != "seal_env.tools":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.tools; import that instead of {__name__!r}", name=__name__)
