"""Optimizers and learning-rate schedules, by the names that a `Recipe` gives them.

Weights, gradients and a recipe come in; an optimizer step, taken in place, goes out. All inner loops use the same objects.
"""
