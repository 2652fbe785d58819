"""The batched inner loop: many adapters train side by side on one frozen base model.

A list of jobs comes in, their examples and queries packed into shared forward passes; results go out in the jobs' order.
"""
