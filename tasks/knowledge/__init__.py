"""Knowledge incorporation: learn a passage, then answer questions about it without the passage.

Names, task ids and files come in; passages, questions without the passage, and the scores of answers go out.
"""
