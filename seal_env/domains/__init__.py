"""Kinds of task by name.

Settings come in; task sets, tools and the code that renders and scores tasks go out.
"""
