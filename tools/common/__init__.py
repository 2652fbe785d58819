"""In comes how to train, or that the self-edit is complete; out goes the draft that says so. For every domain."""
