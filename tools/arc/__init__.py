"""Tools for grid tasks.

The demonstrations of a task come in; augmented training examples made from them go out.
"""
