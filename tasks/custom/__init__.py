"""Tasks of your own.

A file of JSON lines comes in; a task set of text pairs goes out.
"""
