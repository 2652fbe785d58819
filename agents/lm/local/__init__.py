"""Policies that run on this machine, through transformers. Needs torch.

What comes in are chats and a seed; what goes out are sampled answers with their log-probabilities.
"""
