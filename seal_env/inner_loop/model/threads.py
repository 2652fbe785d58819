"""torch's threads on the CPU do not survive a fork: a forked process waits for them for ever, unless it uses one only."""

from __future__ import annotations

import os
from functools import cache

import torch

from seal_env.forking import is_fork


def one_thread_in_forks() -> None:
    """Have this process use one thread if it was forked, and those that are forked off it from now on.

    Processes that start afresh (`spawn`, `forkserver`) have all threads.
    """
    _arrange(os.getpid())


@cache
def _arrange(process: int) -> None:
    """Once for each process; torch's own data loaders do the same."""
    if is_fork():
        torch.set_num_threads(1)
    elif hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
