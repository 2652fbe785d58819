"""Self-edits per hour of the inner loops, beside the published recipe.

A preset comes in; a table and a JSON document of every row's speed, memory and agreement go out.
"""
