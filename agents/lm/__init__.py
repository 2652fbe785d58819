"""Agents that are language models: how they are prompted, on this machine (`local`) or behind a server (`served`).

What comes in are observations with the text of the task; what goes out is what a model answers, as an action.
"""
