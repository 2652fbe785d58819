"""Stored episodes scored again, by another grader or reward, without training.

A run folder and settings of scoring come in; old and new rewards side by side go out.
"""

from seal_env.experiments.rescore.result import rescore
from seal_env.experiments.rescore.settings import Changes

__all__ = ["Changes", "rescore"]
