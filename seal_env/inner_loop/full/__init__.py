"""Full fine-tuning: updates of all weights.

A job and a base model come in; the answers of a copy with trained weights go out, and the base model is as before.
"""
