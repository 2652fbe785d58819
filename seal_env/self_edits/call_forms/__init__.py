"""The forms in which the chat templates of model families write tool calls.

A text comes in; the calls in it, as objects with "name" and "arguments", go out, or UnreadableError says which one may be
lost. A form is a function here and a row in `table.py`. Nothing is repaired: a call that is cut off, or followed by
something that might be another one, makes the whole text unreadable.
"""
