"""One task from its prompt to its reward, without Gymnasium.

Settings and actions come in; Steps go out.
"""
