"""In come the training config and the end of the self-edit; out goes the draft with them. For every domain."""
