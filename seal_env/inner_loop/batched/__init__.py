"""The batched inner loop: many adapters train side by side on one frozen base model.

A list of jobs comes in; results, computed in shared forward passes over packed examples and queries, go out in order.
"""
