"""Agents that learn by trial: a search for each task, and a contextual bandit over all of them.

An action space of numbers and choices, and rewards come in; self-edits that get better go out.
"""
