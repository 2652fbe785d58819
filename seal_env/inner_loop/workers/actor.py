"""What runs in the process of a worker: one inner loop on one device."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from seal_env.inner_loop.workers.options import WorkerModel
from seal_env.types import InnerLoop, UpdateJob, UpdateResult

WATCH_SECONDS: Final = 1.0


class InnerLoopActor:
    """An inner loop that is made by `load`, so that what goes wrong there is said and not a death.

    Args:
        model: What it runs.
        threads: Of torch on a CPU.
    """

    def __init__(self, model: WorkerModel, threads: int) -> None:
        self._model, self._threads = model, threads
        self._inner_loop: InnerLoop | None = None
        self._watching = object()

    def process(self) -> int:
        """Id of the process."""
        return os.getpid()

    def watch(self) -> None:
        """Whoever waits for it hears of the end of the process at once, even if it has nothing to do.

        Ends the process once that which started it is gone, as it is when a driver with Ray of its own is killed. A later
        call takes its place: there is one whenever the driver reaches a process again that it had thought dead.
        """
        parent, mine = os.getppid(), object()
        self._watching = mine
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
            if self._watching is not mine:
                return
        os._exit(1)

    def load(self) -> dict[str, Any]:
        """Load the model. Returns what decides the results beside the job; see `seal_env.inner_loop.cache.key`."""
        import torch

        from seal_env.inner_loop import inner_loop_on
        from seal_env.inner_loop.cache.key import model_identity
        from seal_env.inner_loop.model.frozen_lm import load_base_model

        used = self._model
        torch.set_num_threads(self._threads)
        base = load_base_model(used.model, used.device, used.template, used.dtype, used.revision)
        self._inner_loop = inner_loop_on(base, used.inner_loop, used.deterministic)
        return model_identity(base)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        if self._inner_loop is None:  # a new process, of which nobody knows yet
            self.load()
        assert self._inner_loop is not None
        return run_and_move(self._inner_loop, jobs)


def run_and_move(inner_loop: InnerLoop, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
    """Run jobs; what they save is written beside its folder and moved there when it is whole.

    So a job whose worker died halfway can be run again. Where an earlier attempt got that far, its folder stays.
    """
    written = [
        job if job.save_to is None else replace(job, save_to=job.save_to.with_name(f".{job.save_to.name}-{uuid4().hex}"))
        for job in jobs
    ]
    results = []
    for job, result in zip(jobs, inner_loop.run(written), strict=True):
        if result.adapter is None or job.save_to is None:
            results.append(result)
            continue
        try:
            os.rename(result.adapter, job.save_to)
        except OSError:
            if not (job.save_to.is_dir() and any(job.save_to.iterdir())):
                raise
            shutil.rmtree(result.adapter, ignore_errors=True)
        results.append(replace(result, adapter=job.save_to))
    return results
