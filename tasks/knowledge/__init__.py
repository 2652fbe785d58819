"""Knowledge tasks: a passage is read once, and questions about it are asked without it."""

from seal_env.tasks.knowledge.lexical_grader import LexicalGrader

__all__ = ["LexicalGrader"]
