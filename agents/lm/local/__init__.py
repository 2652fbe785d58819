"""Policies that run on this machine, through transformers. Needs torch.

Chats and a seed come in; sampled answers with their log-probabilities go out.
"""
