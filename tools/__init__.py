"""The tools of a self-edit, one a file: an arguments model and one pure function. Packaged as `seal_env.tools`."""

if __name__ != "seal_env.tools":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.tools; import that instead of {__name__!r}", name=__name__)
