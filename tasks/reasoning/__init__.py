"""Procedural tasks of reasoning-gym.

A generator's name comes in; a task set of text pairs and its verifier go out.
"""
