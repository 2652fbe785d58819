"""Adapters for libraries of reinforcement learning.

What comes in is a vector environment whose actions and observations are numbers; what goes out is the interface of the
library.
"""
