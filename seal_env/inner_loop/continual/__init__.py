"""Models that keep what they learn.

Trained updates come in; a model with the updates merged, and measures of what it forgot, go out.
"""
