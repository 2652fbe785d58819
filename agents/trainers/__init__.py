"""Loops that train a policy: ReST-EM with the inner loop itself, GRPO through TRL. Needs torch.

What comes in are a policy, the runtimes of training and held-out tasks, and settings; what goes out is a run folder with
adapters and measurements, which can be resumed.
"""
