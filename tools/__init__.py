"""The tools of a self-edit, packaged as `seal_env.tools`: one a file, an arguments model and one pure function.

A tool call, the draft of a self-edit and what the domain offers come in; the new draft goes out.
"""

if __name__ != "seal_env.tools":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.tools; import that instead of {__name__!r}", name=__name__)
