"""Loops that train a policy: ReST-EM with the inner loop itself, GRPO through TRL. Needs torch.

A policy, the runtimes of training and held-out tasks, and settings come in; a resumable run folder with adapters and
measurements goes out.
"""
