"""Few-shot tasks of the Abstraction and Reasoning Corpus (ARC).

Names, task ids and files come in; tasks, their prompts and training sets, and the scores of answers go out.
"""
