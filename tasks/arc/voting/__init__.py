"""Evaluation by vote over augmented versions of a task, as SEAL's ARC experiments do.

A task and the answers to its augmented queries come in; the two most voted grids go out.
"""
