"""Tasks of text pairs.

Solved examples of one kind of problem, and further problems as queries, come in; prompts, training documents and scores go
out.
"""
