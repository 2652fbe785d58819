"""Agents that learn by trial: a search for each task, and a contextual bandit over all of them.

What comes in are an action space of numbers and choices, and rewards; what goes out are self-edits that get better.
"""
