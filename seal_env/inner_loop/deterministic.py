"""Results that are equal bit by bit on one device, whatever runs beside them.

Jobs run one at a time: a job that shares its passes has other matrix shapes, for which other kernels round differently. On a
GPU torch's deterministic algorithms replace those that add up in any order, attention's backward pass among them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from seal_env.forking import Lock
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.types import InnerLoop, UpdateJob, UpdateResult

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Variable without which torch refuses matrix products on CUDA as not deterministic."""

_TURN = Lock()
"""The switch is the process's: a thread that ends would turn it off for another that still trains."""


class DeterministicInnerLoop(WrappedInnerLoop):
    """Runs jobs one after another with deterministic kernels.

    A job's result depends on nothing but the job, the model, the libraries, the device and torch's number of threads, as
    long as memory does not run short.
    """

    def __init__(self, inner: InnerLoop) -> None:
        """Wrap an inner loop."""
        super().__init__(inner)
        os.environ.setdefault(WORKSPACE, ":4096:8")

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop.

        Raises:
            RuntimeError: The model uses an operation of which torch has no deterministic form on this device.
        """
        results = []
        for job in jobs:
            with deterministic_algorithms():
                results += self.inner.run([job])
        return results


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Torch's deterministic algorithms, in the whole process, within the context; threads take turns."""
    with _TURN.held():
        before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
