"""Knowledge tasks: a passage is read once, and questions about it are asked without it."""

from seal_env.tasks.knowledge.grading.lexical import LexicalGrader

__all__ = ["LexicalGrader"]
