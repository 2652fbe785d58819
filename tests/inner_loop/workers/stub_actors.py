"""Actors for tests: one that a job can end, and some that load no model and start at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from seal_env.errors import ModelError
from seal_env.inner_loop.workers.actor import InnerLoopActor
from seal_env.types import Outcome, UpdateJob, UpdateResult

POISON = 999
"""The seed of a job that ends whoever runs it."""


class FragileActor(InnerLoopActor):
    """An actor that dies of one job."""

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        if any(job.seed == POISON for job in jobs):
            os._exit(1)
        return super().run(jobs)


class StubActor(InnerLoopActor):
    """Loads nothing, and answers with each job's seed."""

    def load(self) -> dict[str, Any]:
        return {"model": "stub"}

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        return [UpdateResult(Outcome.OK, "", (), tokens_trained=job.seed) for job in jobs]


class BrokenActor(StubActor):
    """Cannot load its model."""

    def load(self) -> dict[str, Any]:
        raise ModelError("model='gone' cannot be loaded: no such folder")
