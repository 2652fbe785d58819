"""Reading and writing English by rules: what the agent `template` makes of a passage."""
