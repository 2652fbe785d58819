"""Task sets: what there is to adapt to, how it is worded and how it is scored. Packaged as `seal_env.tasks`."""

if __name__ != "seal_env.tasks":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.tasks; import that instead of {__name__!r}", name=__name__)
