"""Agents that are language models: how they are prompted, on this machine (`local`) or behind a server (`served`).

Observations with the text of the task come in; a model's answers, as actions, go out.
"""
