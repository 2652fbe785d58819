"""Tasks of text pairs: solved examples of one kind of problem come in as context, further problems of this kind are queries.

What goes out: prompts and training documents in one form, and scores by whatever decides on an answer.
"""
