"""Task sets, packaged as `seal_env.tasks`.

Names, task ids and files come in; tasks, the prompts that render them and the scores of answers go out.
"""

if __name__ != "seal_env.tasks":  # a second copy of every class otherwise
    raise ImportError(f"this directory is packaged as seal_env.tasks; import that instead of {__name__!r}", name=__name__)
