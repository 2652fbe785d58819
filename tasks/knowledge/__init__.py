"""Knowledge incorporation: learn a passage, then answer questions about it without the passage.

Names, task ids and files come in; passages, questions without the passage, and the scores of answers go out.
"""

from seal_env.tasks.knowledge.grading.lexical import LexicalGrader

__all__ = ["LexicalGrader"]
