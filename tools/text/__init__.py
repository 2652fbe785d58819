"""Tools for texts.

Texts that the agent wrote about a source text come in; documents to learn, counted, go out.
"""
