"""Passages about things that do not exist, made by a seeded generator, so that no model can know the answers beforehand."""
