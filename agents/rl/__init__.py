"""Adapters for libraries of reinforcement learning.

A vector environment whose actions and observations are numbers comes in; the interface of the library goes out.
"""
