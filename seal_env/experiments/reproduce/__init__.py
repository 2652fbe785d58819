"""Reproductions: the paper's tables, and how much of a sequence of tasks is retained.

A preset and a run folder come in; table.json and, for continual learning, heat maps go out.
"""
