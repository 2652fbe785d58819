"""Generated passages about things that do not exist.

In: a split, a seed and an index. Out: a passage, its facts, and questions about them.

No model can know the answers beforehand: every name is formed from syllables, every fact drawn by a seeded generator.
"""
