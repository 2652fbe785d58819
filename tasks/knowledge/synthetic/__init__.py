"""Generated passages about things that do not exist, so that no model can know the answers beforehand.

A split, a seed and an index come in; a passage, its facts and questions about them go out.
"""
